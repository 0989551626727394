"""What reading a domain came upon, in words and counts: it may leave the site, so no file is named."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Found:
    """What a person should know of a domain's files before training."""

    sizes: str = ""
    """Height x width in pixels as stored, of all or from the smallest to the largest."""
    forms: str = ""
    """Bit depth, colour and transparency (of recordings rate and channels), with numbers of files where they differ."""
    skipped: str = ""
    """What was not used, with its number and why."""
    notes: tuple[str, ...] = ()
    """What is odd."""

    def noted(self, *more: str) -> Found:
        """The same with more notes."""
        return Found(self.sizes, self.forms, self.skipped, (*self.notes, *more))


NOTHING = Found()
"""Nothing is known."""


def counted(counts: Counter[str]) -> str:
    """`a` where all are alike, else `a (12), b (3)`, most first."""
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{text} ({count:,})" for text, count in counts.most_common())


def skipped(counts: Counter[str]) -> str:
    """`12 hidden, 3 not pictures`, most first."""
    return ", ".join(f"{count:,} {why}" for why, count in counts.most_common())


def size_range(sizes: Iterable[tuple[int, int]]) -> str:
    """`28x28`, or `12x12 to 40x20`: (H, W) by the number of pixels."""
    ordered = sorted(set(sizes), key=lambda size: (size[0] * size[1], size))
    texts = dict.fromkeys(f"{height}x{width}" for height, width in (ordered[0], ordered[-1]))
    return " to ".join(texts)
