"""Statistics of training as values that merge: of clients, workers, steps and rounds, in any order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Mean:
    """A mean as what it is made of."""

    total: float
    count: int

    @property
    def value(self) -> float:
        """The mean; NaN of nothing."""
        return self.total / self.count if self.count else math.nan

    def __add__(self, other: Mean) -> Mean:
        """The mean over both."""
        return Mean(self.total + other.total, self.count + other.count)


Statistics = Mapping[str, Mean]
"""Under free names, such as `discriminator_real`."""


def merged(parts: Iterable[Statistics]) -> dict[str, Mean]:
    """Name -> the mean over all parts that have it, in the order in which names first come."""
    whole: dict[str, Mean] = {}
    for part in parts:
        for name, mean in part.items():
            whole[name] = whole[name] + mean if name in whole else mean
    return whole
