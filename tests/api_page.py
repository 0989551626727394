"""`raygan/docs/api.md`, from docstrings: `python -m tests.api_page` writes it, and a test holds it against the code."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from raygan.config import Config
from tests.config.snapshot import models, shown

PAGE = Path(__file__).parent.parent / "raygan" / "docs" / "api.md"
PUBLIC = {
    "raygan": ("train", "resume", "tune", "Config", "Run"),
    "raygan.run.stored": ("Generator",),
    "raygan.run.events": ("Listener",),
    "raygan.search": ("trainable", "result_of"),
    "raygan.nn": ("NetworkSpec", "Networks", "paper_networks"),
    "raygan.federated": ("Averager",),
    "raygan.errors": ("InputError", "ConfigError", "DataError", "RunError", "StoppedError"),
}
"""Module -> what of it is meant to be used from Python."""
SECTION = re.compile(r"^(?=(?:Args|Raises|Returns|Yields|Example):$)", flags=re.MULTILINE)
HEAD = """# From Python

What is meant to be used, from its docstrings; every other name may change. `tests/api_page.py` writes this page.
"""


def text() -> str:
    """The page."""
    parts = [HEAD]
    for module, names in PUBLIC.items():
        parts.append(f"## {module}\n")
        parts += [section for name in names for section in described(module, name)]
    parts.append("## Keys of a configuration\n\nAs `--set` writes them; entries of lists are `N`, free names `NAME`.\n")
    parts += [f"- `{key}` = `{default}`: {words}" for key, default, words in keys("", Config)]
    return "\n".join(parts) + "\n"


def described(module: str, name: str) -> Iterator[str]:
    """A function; or a class with its public methods."""
    found = getattr(import_module(module), name)
    yield f"### {name}\n\n{signature(name, found)}{docstring(found)}\n"
    if not inspect.isclass(found) or issubclass(found, (BaseModel, Exception)):
        return
    for own, member in vars(found).items():
        function = getattr(member, "__func__", member)
        if own.startswith("_") or not inspect.getdoc(function):
            continue
        if inspect.isfunction(function):
            yield f"#### {name}.{own}\n\n{signature(own, getattr(found, own))}{docstring(function)}\n"
        elif isinstance(member, (property, cached_property)):
            yield f"#### {name}.{own}\n\n{docstring(member)}\n"


class _AsWritten:
    """Shown in a signature as it is."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def signature(name: str, found: Callable[..., Any]) -> str:
    """As code; nothing of a class, whose docstring tells how it is made."""
    if inspect.isclass(found):
        return ""
    of = inspect.signature(found)
    written = [
        parameter.replace(
            annotation=_annotation(parameter.annotation),
            default=_AsWritten(parameter.default.__name__)
            if inspect.isroutine(parameter.default)
            else parameter.default,
        )
        for parameter in of.parameters.values()
    ]
    whole = of.replace(parameters=written, return_annotation=_annotation(of.return_annotation))
    return f"```text\n{name}{whole}\n```\n\n"


def _annotation(given: Any) -> Any:
    return _AsWritten(given) if isinstance(given, str) else given


def docstring(found: object) -> str:
    """What it says, and its arguments and errors as they are written."""
    prose, *sections = SECTION.split(inspect.getdoc(found) or "", maxsplit=1)
    return "\n\n".join([prose.strip(), *("```text\n" + part.strip() + "\n```" for part in sections)])


def keys(path: str, model: type[BaseModel]) -> Iterator[tuple[str, str, str]]:
    """Every key below a model: its name, its default as JSON, what it means."""
    for name, field in model.model_fields.items():
        key = f"{path}{name}"
        default = field.get_default(call_default_factory=True)
        if not isinstance(default, BaseModel):
            words = " ".join((field.description or "").split())
            yield key, "required" if field.is_required() else shown(default), words
        for step, part in models(field.annotation):
            yield from keys(f"{key}.{step}", part)


def main() -> None:
    """Writes the page."""
    PAGE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
