"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

UNITS = ((1.0, "ms", 1e-3), (100.0, "s", 1.0), (6000.0, "min", 60.0), (float("inf"), "h", 3600.0))
"""Below so many seconds, in this unit, of so many seconds."""


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    return durations([seconds])[0]


def durations(parts_s: Sequence[float]) -> list[str]:
    """Parts of a whole, all in the unit of the whole, so rounded that what is shown adds up."""
    _, unit, one_s = next(row for row in UNITS if sum(parts_s) < row[0])
    return [f"{part:.1f} {unit}" for part in _rounded([part / one_s for part in parts_s], 1)]


def shares(parts: Sequence[float]) -> list[str]:
    """Parts of a whole in percent, so rounded that they add up to 100%."""
    whole = sum(parts) or 1.0
    return [f"{part:.0f}%" for part in _rounded([100 * part / whole for part in parts], 0)]


def many(count: int, noun: str) -> str:
    """How many of them."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def percent(share: float, digits: int = 0) -> str:
    """A share from 0 to 1."""
    return f"{100 * share:.{digits}f}%"


def _rounded(parts: Sequence[float], digits: int) -> list[float]:
    sums = [round(total, digits) for total in accumulate(parts, initial=0.0)]
    return [after - before for before, after in pairwise(sums)]
