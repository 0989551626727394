"""Medians with their spread, ratios of what was measured in the same repeat, and a stopwatch."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence


def spread(values: Sequence[float]) -> dict[str, float]:
    """The middle and the ends of at least one value: `median`, `min`, `max`."""
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def ratios(values: Sequence[float], limits: Sequence[float]) -> list[float]:
    """Each repeat's value in terms of the same repeat's limit: what slows a whole repeat down cancels."""
    return [value / limit for value, limit in zip(values, limits, strict=True)]


def rotated(names: Sequence[str], repeat: int) -> list[str]:
    """The order of a repeat: each begins with another, so that nobody is always first."""
    start = repeat % len(names)
    return [*names[start:], *names[:start]]


class Stopwatch:
    """Seconds by part, one after the other."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """A part ends here."""
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now
