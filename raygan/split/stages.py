"""Where a network is cut, and the stages in which the body merges clients whose cuts differ.

A cut (h, t) leaves blocks 0..h to the client's head and B-1-t..B-1 to its tail; the client's activations
enter the body at block h+1 and leave it after block B-2-t.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

from raygan.errors import CutError

Cut = tuple[int, int]
Key = TypeVar("Key", bound=int)


def valid_cuts(num_blocks: int, anchor: int) -> list[Cut]:
    """All cuts (h, t) with h + t <= B - 3 whose body contains the anchor."""
    return [(h, t) for h in range(anchor) for t in range(num_blocks - 1 - anchor) if h + t <= num_blocks - 3]


def check_cut(cut: Cut, num_blocks: int, anchor: int, where: str) -> None:
    """Refuses a cut that is not valid.

    Args:
        where: the key that the error names.

    Raises:
        CutError: naming the cut and the valid ones.
    """
    if cut not in (valid := valid_cuts(num_blocks, anchor)):
        found = f"cut (h, t) = {cut} leaves block {anchor} (the anchor) or nothing to the server"
        if min(cut) >= 0 and sum(cut) > num_blocks - 3:
            found = f"cut (h, t) = {cut} keeps {sum(cut)} extra blocks of a network of {num_blocks}"
        raise CutError(where, found, f"use one of {', '.join(map(str, valid))}")


def head_blocks(cut: Cut) -> range:
    """Blocks of the head: 0..h."""
    return range(cut[0] + 1)


def body_blocks(cut: Cut, num_blocks: int) -> range:
    """Blocks that the cut leaves to the body: h+1..B-2-t."""
    return range(cut[0] + 1, num_blocks - 1 - cut[1])


def tail_blocks(cut: Cut, num_blocks: int) -> range:
    """Blocks of the tail: B-1-t..B-1."""
    return range(num_blocks - 1 - cut[1], num_blocks)


@dataclass(frozen=True)
class Stage(Generic[Key]):
    """Consecutive body blocks that run over one merged batch: nobody enters or leaves in between."""

    blocks: range
    entering: tuple[Key, ...]
    """Who enters before the first of the blocks, in order."""
    leaving: tuple[Key, ...]
    """Who leaves after the last of the blocks, in order."""


def merge_stages(cuts: Mapping[Key, Cut], num_blocks: int) -> list[Stage[Key]]:
    """The stages of one pass through the body, front to back; their order reversed is the backward pass."""
    spans = {key: body_blocks(cut, num_blocks) for key, cut in sorted(cuts.items())}
    starts = {span.start for span in spans.values()} | {span.stop for span in spans.values()}
    bounds = sorted(starts)
    return [
        Stage(
            blocks=range(first, stop),
            entering=tuple(key for key, span in spans.items() if span.start == first),
            leaving=tuple(key for key, span in spans.items() if span.stop == stop),
        )
        for first, stop in pairwise(bounds)
    ]
