"""Which cuts a network has.

A cut (h, t) leaves blocks 0..h (head) and B-1-t..B-1 (tail) on the client and the blocks between, the body,
on the server. It is valid if the body has a block, h + t <= B - 3, and contains the anchor, h < anchor <
B-1-t.
"""

from __future__ import annotations

from typing import Any

from raygan.errors import CutError
from raygan.names import Cut

Anchor = int | tuple[int | None, int | None] | None
"""The block that stays on the server: one number for both networks, a pair, or None (no such block)."""


def head_blocks(cut: Cut) -> range:
    """Blocks of the head: 0..h."""
    return range(cut[0] + 1)


def body_blocks(cut: Cut, num_blocks: int) -> range:
    """Blocks that the cut leaves to the body: h+1..B-2-t."""
    return range(cut[0] + 1, num_blocks - 1 - cut[1])


def tail_blocks(cut: Cut, num_blocks: int) -> range:
    """Blocks of the tail: B-1-t..B-1."""
    return range(num_blocks - 1 - cut[1], num_blocks)


def local_blocks(cut: Cut, num_blocks: int) -> tuple[int, ...]:
    """The blocks that the client keeps: head, then tail."""
    return (*head_blocks(cut), *tail_blocks(cut, num_blocks))


def valid_cuts(num_blocks: int, anchor: int | None) -> tuple[Cut, ...]:
    """All valid cuts of a network of `num_blocks`, in ascending order; (0, 0) is the first.

    Raises:
        CutError: `anchor` is not a block between the first and the last.
    """
    if anchor is not None and not 1 <= anchor <= num_blocks - 2:
        found = f"block {anchor} of a network of {num_blocks} blocks"
        raise CutError("anchor", found, f"give a block from 1 to {num_blocks - 2}, or None")
    return tuple(
        (head, tail)
        for head in range(num_blocks - 2)
        for tail in range(num_blocks - 2 - head)
        if anchor is None or head < anchor < num_blocks - 1 - tail
    )


def check_cut(cut: Cut, num_blocks: int, anchor: int | None, where: str) -> None:
    """Refuses a cut that is not valid: a CutError at the key `where` names it and the valid ones."""
    valid = valid_cuts(num_blocks, anchor)
    if cut not in valid:
        found = f"cut (h, t) = {cut} leaves block {anchor} (the anchor) or nothing to the server"
        if min(cut) >= 0 and sum(cut) > num_blocks - 3:
            found = f"cut (h, t) = {cut} keeps {sum(cut)} extra blocks of a network of {num_blocks}"
        raise CutError(where, found, f"use one of {', '.join(map(str, valid))}")


def anchor_pair(anchor: Any) -> tuple[int | None, int | None]:
    """`anchor` as (generator's, discriminator's); a CutError where it is no number, pair of numbers or None."""
    pair = tuple(anchor) if isinstance(anchor, tuple | list) else (anchor, anchor)
    whole = all(block is None or (isinstance(block, int) and not isinstance(block, bool)) for block in pair)
    if len(pair) != 2 or not whole:
        raise CutError("anchor", repr(anchor), "give a block number, a pair of them, or None")
    return pair
