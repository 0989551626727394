"""By how much one variant is better than another: paired by seed, so that what a seed brings hits both."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Difference:
    """Of a score, variant less reference."""

    mean: float
    """Over the seeds that both have, of means over the domains."""
    low: float | None
    """Lower end of the 95% interval of the mean (Student's t over the seeds); None: one seed has no spread."""
    high: float | None
    better: int
    """Pairs of one seed and domain in which the variant is better."""
    worse: int
    p: float | None
    """Two-sided sign test over these pairs: the chance of a split at least as uneven if neither were better. Pairs of one
    seed are not independent, so it is a hint where a seed has several. None: no pair differs."""


def difference(variant: Sequence[Sequence[float]], reference: Sequence[Sequence[float]], higher: bool) -> Difference:
    """Compares two variants.

    Args:
        variant, reference: a row for each seed, in the same order, with the score of each domain.
        higher: whether more is better.

    Example:
        >>> found = difference([[0.9, 0.8], [0.7, 0.8]], [[0.8, 0.7], [0.7, 0.7]], higher=True)
        >>> round(found.mean, 3), found.better, found.worse
        (0.075, 3, 0)
    """
    by_seed = [mean(mine) - mean(theirs) for mine, theirs in zip(variant, reference, strict=True)]
    signs = [
        (a > b) == higher
        for mine, theirs in zip(variant, reference, strict=True)
        for a, b in zip(mine, theirs, strict=True)
        if a != b
    ]
    low, high = interval(by_seed)
    better = sum(signs)
    return Difference(mean(by_seed), low, high, better, len(signs) - better, sign_test(better, len(signs)))


def interval(values: Sequence[float]) -> tuple[float, float] | tuple[None, None]:
    """The 95% interval of the mean by Student's t; of one value there is none."""
    from scipy.stats import t  # slow to import

    if len(values) < 2:
        return None, None
    reach = float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
    return mean(values) - reach, mean(values) + reach


def sign_test(better: int, pairs: int) -> float | None:
    """P of the two-sided sign test; None without pairs."""
    from scipy.stats import binomtest

    return float(binomtest(better, pairs).pvalue) if pairs else None
