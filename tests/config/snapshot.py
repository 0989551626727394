"""What people write to raygan, frozen: every command, option and key of a configuration or a search, with its default.

`python -m tests.config.snapshot` adds to `snapshot.txt` what is new. It refuses where something is gone or has another
default: people's files and scripts would break. Who means that edits the line by hand and says why in the commit.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined, to_jsonable_python
from typer.main import get_command

from raygan.cli.app import app
from raygan.config import Config
from raygan.search.schema import SearchConfig

SNAPSHOT = Path(__file__).with_name("snapshot.txt")
REQUIRED = "(required)"


def contract() -> dict[str, str]:
    """Name -> default, as JSON: `raygan train --out` -> `null`, `config training.rounds` -> `8`."""
    return {**dict(options()), **dict(keys("config ", Config)), **dict(keys("search ", SearchConfig))}


def options() -> Iterator[tuple[str, str]]:
    """Arguments and options of every command; `--yes/--no` pairs are two."""
    commands: dict[str, Any] = get_command(app).commands  # type: ignore[attr-defined]
    for name, sub in sorted(commands.items()):
        yield f"raygan {name}", ""
        for parameter in sub.params:
            names = [*parameter.opts, *parameter.secondary_opts]
            if parameter.param_type_name == "argument":
                names = [parameter.metavar or parameter.name]
            default = REQUIRED if parameter.required else shown(parameter.default)
            yield from ((f"raygan {name} {option}", default) for option in names)


def keys(path: str, model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Every key below a model; entries of lists are `N`, of mappings with free names `NAME`."""
    for name, field in model.model_fields.items():
        key = f"{path}{field.alias or name}"
        below = list(models(field.annotation))
        default = field.get_default(call_default_factory=True)
        if not isinstance(default, BaseModel):
            yield key, REQUIRED if default is PydanticUndefined else shown(default)
        for step, part in below:
            yield from keys(f"{key}.{step}", part)


def models(annotation: Any) -> Iterator[tuple[str, type[BaseModel]]]:
    """The models that a field may hold, and what is written before their keys."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield "", annotation
        return
    origin = get_origin(annotation)
    step = "N." if origin in (tuple, list) else "NAME." if origin is dict else ""
    for argument in get_args(annotation):
        yield from ((step + inner, model) for inner, model in models(argument))


def shown(default: Any) -> str:
    """A default as JSON; of sections in a list what is given."""
    if isinstance(default, tuple) and any(isinstance(entry, BaseModel) for entry in default):
        default = [entry.model_dump(mode="json", exclude_unset=True) for entry in default]
    return json.dumps(to_jsonable_python(default))


def read() -> dict[str, str]:
    """The frozen contract."""
    lines = SNAPSHOT.read_text(encoding="utf-8").splitlines()
    pairs = (line.partition(" = ") for line in lines if line and not line.startswith("#"))
    return {name: default for name, _, default in pairs}


def text(entries: dict[str, str]) -> str:
    """The file."""
    head = "# " + (__doc__ or "").strip().replace("\n", "\n# ").replace("# \n", "#\n")
    return "\n".join([head, "", *(f"{n} = {d}" if d else n for n, d in entries.items())]) + "\n"


def broken(frozen: dict[str, str], found: dict[str, str]) -> list[str]:
    """One line for everything that is gone or has another default."""
    gone = [f"{name} is gone" for name in frozen if name not in found]
    changed = [
        f"{name} has the default {found[name]}, and had {default}"
        for name, default in frozen.items()
        if name in found and found[name] != default
    ]
    return gone + changed


def main() -> int:
    """Adds what is new."""
    found = contract()
    if problems := broken(read(), found):
        print("\n".join(problems), file=sys.stderr)
        return 1
    SNAPSHOT.write_text(text(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
