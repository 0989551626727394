"""Ways to train generators over the clients, one file each. `algorithm: NAME` in the configuration chooses one."""

from __future__ import annotations

from typing import Any

from raygan.algorithms.base import Algorithm
from raygan.config.choices import ALGORITHMS, chosen


def algorithm_of(name: str) -> type[Algorithm[Any, Any]]:
    """The algorithm of that name; its module is imported when it is first asked for."""
    found: type[Algorithm[Any, Any]] = chosen(ALGORITHMS, name)
    return found
