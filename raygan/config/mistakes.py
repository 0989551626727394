"""Pydantic's errors as one line: the key, what was found, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from raygan.errors import ConfigError, instead_of

EMPTY = "''"
"""How a key of no letters is told."""
WORDS = "write keys as words, such as seed"
KINDS = {
    **dict.fromkeys(("int_type", "int_parsing", "int_parsing_size", "int_from_float"), "a whole number"),
    **dict.fromkeys(("float_type", "float_parsing"), "a number"),
    **dict.fromkeys(("bool_type", "bool_parsing"), "true or false"),
    **dict.fromkeys(("tuple_type", "list_type"), "a list"),
    **dict.fromkeys(("dict_type", "model_type", "model_attributes_type"), "keys with their values"),
    "string_type": "a text",
}
"""Pydantic's kind of a mistake -> what was needed, as people say it."""


def first_mistake(error: ValidationError, root: type[BaseModel]) -> ConfigError:
    """The first mistake of a `root` as one line: an unknown key, with the nearest known one, before all others."""
    mistakes = _of_the_meant_variant(error.errors())
    mistake = next((m for m in mistakes if m["type"] == "extra_forbidden"), mistakes[0])
    path = _path(mistake)
    key = ".".join(map(str, path)) or "configuration"
    if mistake["type"] == "extra_forbidden":
        return _unknown(path, mistakes, root)
    if mistake["type"] == "value_error":
        text = str(mistake["ctx"]["error"])
        if not path:  # a conflict between keys, whose message begins with the key
            key, _, text = text.partition(": ")
        found, _, remedy = text.partition("; ")
        return ConfigError(key, found, remedy or "mend the value")
    if mistake["type"] == "missing":
        return _missing(path, mistakes)
    alternatives = dict.fromkeys(_expected(m) for m in mistakes if _path(m) == path)
    return ConfigError(key, f"{shown(mistake['input'])} does not fit", " or ".join(alternatives))


def _missing(path: list[str | int], mistakes: list[Any]) -> ConfigError:
    """A key without a value; where one of several would do, all of them."""
    there = [m for m in mistakes if m["type"] == "missing" and _path(m)[:-1] == path[:-1]]
    if len({m["loc"][:-1] for m in there}) == 1:
        return ConfigError(".".join(map(str, path)), "is missing", "give it a value")
    keys = " or ".join(dict.fromkeys(str(_path(m)[-1]) for m in there))
    return ConfigError(".".join(map(str, path[:-1])), f"{shown(there[0]['input'])} says nothing", f"give {keys} in it")


def _of_the_meant_variant(mistakes: list[Any]) -> list[Any]:
    """Without the members of a union that do not know a key which another member knows."""
    unknown = [m["loc"][:-1] for m in mistakes if m["type"] == "extra_forbidden"]
    strange = {place for place in unknown if any(map(_is_variant, place))}
    shapes = ("literal_error", "float_type") if any(isinstance(m["input"], dict) for m in mistakes) else ("model_type",)
    other = [m for m in mistakes if m["type"] in shapes and _is_variant((m["loc"] or [0])[-1])]
    meant = [m for m in mistakes if m["loc"][:-1] not in strange and m not in other]
    return meant or mistakes


def _path(mistake: Mapping[str, Any]) -> list[str | int]:
    if not mistake["loc"]:
        return []
    *above, last = mistake["loc"]
    own = mistake["type"] == "extra_forbidden" or not _is_variant(last)  # an unknown key is the user's, whatever it is
    return [*(part for part in above if not _is_variant(part)), *([last] if own else [])]


def _is_variant(part: str | int) -> bool:
    """Pydantic names the member of a union that it tried; a user has not written that."""
    return isinstance(part, str) and (part[:1].isupper() or "[" in part or part in ("int", "constrained-int"))


def shown(value: Any) -> str:
    """As Python writes it, cut off where it is long."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _expected(mistake: Mapping[str, Any]) -> str:
    if mistake["type"] == "invalid_key":
        return WORDS
    if mistake["type"] == "too_short":
        return f"give at least {mistake['ctx']['min_length']}"
    if mistake["type"] in KINDS:
        return f"give {KINDS[mistake['type']]}"
    words = str(mistake["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")
    return "give " + words.removesuffix(" is needed, not true or false")


def _unknown(path: list[str | int], mistakes: list[Any], root: type[BaseModel]) -> ConfigError:
    """A key that nobody knows, or keys that are known each by itself."""
    models: list[type[BaseModel]] = [root]
    for part in path[:-1]:
        models = _models_below(models, str(part))
    known, key = [name for model in models for name in model.model_fields], str(path[-1])
    if key in known:
        refused = (_path(mistake) for mistake in mistakes if mistake["type"] == "extra_forbidden")
        beside = dict.fromkeys(str(other[-1]) for other in refused if other[:-1] == path[:-1])
        where = ".".join(map(str, path[:-1]))
        return ConfigError(where, f"{' and '.join(beside)} together", "give one of them")
    return ConfigError(".".join(str(part) or EMPTY for part in path), "unknown key", instead_of(key, known))


def _models_below(models: list[type[BaseModel]], part: str) -> list[type[BaseModel]]:
    """The models that a field may hold; the entry of a list or dict field is passed through."""
    fields = [model.model_fields[part] for model in models if part in model.model_fields]
    return [model for field in fields for model in _models_in(field.annotation)] if fields else models


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models_in(argument)]
