"""The stages in which the body merges clients whose cuts differ.

Activations of a client with the cut (h, t) enter the body at block h+1 and leave it after block B-2-t.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

from raygan.cuts.cut import body_blocks
from raygan.names import Cut

Key = TypeVar("Key", bound=int)


@dataclass(frozen=True)
class Stage(Generic[Key]):
    """Consecutive body blocks that run over one merged batch: nobody enters or leaves in between."""

    blocks: range
    entering: tuple[Key, ...]
    """Who enters before the first of the blocks, in order."""
    leaving: tuple[Key, ...]
    """Who leaves after the last of the blocks, in order."""


def merge_stages(cuts: Mapping[Key, Cut], num_blocks: int, borders: Collection[int] = ()) -> list[Stage[Key]]:
    """The stages of one pass through the body, front to back; their order reversed is the backward pass.

    Args:
        borders: blocks with which a stage begins, whoever enters there.
    """
    spans = {key: body_blocks(cut, num_blocks) for key, cut in sorted(cuts.items())}
    starts = {span.start for span in spans.values()} | {span.stop for span in spans.values()}
    bounds = sorted(starts | set(borders))
    return [
        Stage(
            blocks=range(first, stop),
            entering=tuple(key for key, span in spans.items() if span.start == first),
            leaving=tuple(key for key, span in spans.items() if span.stop == stop),
        )
        for first, stop in pairwise(bounds)
    ]
