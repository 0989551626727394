"""`raygan train --callback`: Ray Tune's loggers by name, as `callbacks` of a search names them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raygan.config.loading import NOT_YAML
from raygan.config.yaml_text import from_yaml
from raygan.errors import InputError, instead_of

WHERE = "--callback"


def named_callbacks(given: Sequence[str]) -> list[Any]:
    """The callbacks that `NAME` or `NAME={argument: value}` ask for.

    Raises:
        InputError: an unknown name, arguments that are none of the callback's, or a package that is not installed.
    """
    if not given:
        return []
    from raygan.search.scheduling import LOGGERS, make_loggers  # Ray Tune is slow to import

    asked: dict[str, dict[str, Any]] = {}
    for text in given:
        name, _, arguments = text.partition("=")
        if name not in LOGGERS:
            raise InputError(WHERE, f"no callback {name!r}", instead_of(name, list(LOGGERS)))
        if name in asked:
            raise InputError(WHERE, f"{name} twice", "give each once")
        asked[name] = _parsed(name, arguments)
    return list(make_loggers(asked))


def _parsed(name: str, arguments: str) -> dict[str, Any]:
    try:
        found = from_yaml(arguments) if arguments else {}
    except NOT_YAML:
        found = None
    if not isinstance(found, dict):
        raise InputError(WHERE, f"{arguments!r} is no mapping", f"write {name}={{argument: value}}")
    return found
