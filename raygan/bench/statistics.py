"""Medians with their spread, and ratios of what was measured in the same turn."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """The middle and the ends of a few repeats."""

    median: float
    min: float
    max: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


def ratios(values: Sequence[float], limits: Sequence[float]) -> list[float]:
    """Each turn's value in terms of the same turn's limit: what slows a whole turn down cancels."""
    return [value / limit for value, limit in zip(values, limits, strict=True)]


def rotated(names: Sequence[str], turn: int) -> list[str]:
    """The order of a turn: each begins with another, so that nobody is always first."""
    start = turn % len(names)
    return [*names[start:], *names[:start]]
