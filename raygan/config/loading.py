"""From a file and `--set` to a `Config`: one door, one clear line for the first mistake."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from raygan.config.schema import Config
from raygan.errors import ConfigError


def read_config(path: str | Path | None = None, overrides: Iterable[str] = ()) -> Config:
    """The configuration of a YAML file (None: the default) with `key.path=value` overrides.

    Raises:
        ConfigError: naming the file or key, what was found, and what to do.
    """
    settings = {} if path is None else _read_yaml(Path(path))
    for override in overrides:
        key, value = parse_override(override)
        settings = set_key(settings, key, value)
    return make_config(settings)


def make_config(settings: Mapping[str, Any]) -> Config:
    """A `Config` from nested settings.

    Raises:
        ConfigError: the first unknown key, wrong type or conflict.
    """
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        raise _first_mistake(error, settings) from None


def parse_override(text: str) -> tuple[str, Any]:
    """`training.lr=1e-4` -> ("training.lr", 1e-4); the value is YAML.

    Raises:
        ConfigError: no `=`, or a value that is not YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text}", "no key=value", "write it as key.path=value, such as training.rounds=10")
    try:
        return key.strip(), _number(yaml.safe_load(value))
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {key}", f"{value!r} is not YAML ({_line(error)})", "quote the value") from None


def set_key(settings: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A copy of nested settings with one dotted key changed; `data.domains.0.clients` reaches into lists."""
    head, _, rest = key.partition(".")
    if not rest:
        return {**settings, head: value}
    inner = settings.get(head) or {}
    if isinstance(inner, list):
        return {**settings, head: _set_in_list(inner, rest, value, key)}
    if not isinstance(inner, Mapping):
        raise ConfigError(key, f"{head} is {inner!r}, which has no keys", f"set {head} itself")
    return {**settings, head: set_key(inner, rest, value)}


def _set_in_list(items: list[Any], key: str, value: Any, where: str) -> list[Any]:
    head, _, rest = key.partition(".")
    if not head.isdigit() or int(head) >= len(items):
        raise ConfigError(where, f"a list of {len(items)} entries has no {head!r}", "give an entry's number, from 0")
    index = int(head)
    changed = value if not rest else set_key(items[index], rest, value)
    return [*items[:index], changed, *items[index + 1 :]]


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read ({error.strerror})", "check the file's name") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(str(path), f"is not YAML ({_line(error)})", "mend the file") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(str(path), f"holds a {type(content).__name__}", "write keys and values, such as seed: 0")
    return content


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-4 as a string; a person means a number."""
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _first_mistake(error: ValidationError, settings: Mapping[str, Any]) -> ConfigError:
    mistakes = error.errors()
    mistake = next((m for m in mistakes if m["type"] == "extra_forbidden"), mistakes[0])
    path = [part for part in mistake["loc"] if not _is_variant(part)]
    key = ".".join(map(str, path)) or "configuration"
    if mistake["type"] == "extra_forbidden":
        return ConfigError(key, "unknown key", _nearest(path))
    if mistake["type"] == "value_error":
        text = str(mistake["ctx"]["error"])
        found, _, remedy = text.partition("; ")
        return ConfigError(key, found, remedy or "mend the value") if path else _whole(text)
    return ConfigError(key, f"{_shown(mistake['input'])} does not fit", _expected(mistake))


def _whole(text: str) -> ConfigError:
    """A conflict between keys; its message begins with the key."""
    key, _, rest = text.partition(": ")
    found, _, remedy = rest.partition("; ")
    return ConfigError(key, found, remedy)


def _is_variant(part: str | int) -> bool:
    """Pydantic names the member of a union that it tried; a user has not written that."""
    return isinstance(part, str) and (part[:1].isupper() or "[" in part or part in ("int", "constrained-int"))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _expected(mistake: Mapping[str, Any]) -> str:
    message = mistake["msg"]
    for start in ("Input should be ", "Value error, "):
        message = message.removeprefix(start)
    return f"give {message}"


def _nearest(path: list[str | int]) -> str:
    section: Any = Config
    for part in path[:-1]:
        section = _section_of(section, part)
        if section is None:
            return "remove it"
    known = list(section.model_fields)
    close = difflib.get_close_matches(str(path[-1]), known, n=1, cutoff=0.5)
    return f"did you mean {close[0]!r}?" if close else f"use one of {', '.join(known)}"


def _section_of(section: Any, part: str | int) -> type[BaseModel] | None:
    """The model behind a field, or behind the entries of a list or dict field."""
    if isinstance(section, type) and issubclass(section, BaseModel):
        field = section.model_fields.get(str(part))
        annotation = field.annotation if field else None
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            return annotation
        inner = [a for a in getattr(annotation, "__args__", ()) if isinstance(a, type) and issubclass(a, BaseModel)]
        return _Entries(inner[0]) if inner else None  # type: ignore[return-value]
    return section.model if isinstance(section, _Entries) else None


class _Entries:
    """Stands for a list or dict of models on the way to one of its entries."""

    def __init__(self, model: type[BaseModel]) -> None:
        self.model = model
