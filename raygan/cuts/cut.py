"""Which cuts a network has, and which of them a device may use.

A cut (h, t) leaves blocks 0..h (head) and B-1-t..B-1 (tail) on the client and the blocks between, the body,
on the server. It is valid if the body has a block, h + t <= B - 3, and contains the anchor, h < anchor <
B-1-t.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from raygan.cuts.cost import Device, NetworkCost
from raygan.errors import CutError
from raygan.names import NETWORKS, Cut

Anchor = int | tuple[int | None, int | None] | None
"""The block that stays on the server: one number for both networks, a pair, or None (no such block)."""

Allowed = npt.NDArray[np.bool_]
"""Pairs of cuts that are allowed, [generator's cuts, discriminator's cuts], or one such table a class."""


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
    """Refuses a cut that is not valid.

    Args:
        where: the key that the error names.

    Raises:
        CutError: naming the cut and the valid ones.
    """
    valid = valid_cuts(num_blocks, anchor)
    if cut not in valid:
        found = f"cut (h, t) = {cut} leaves block {anchor} (the anchor) or nothing to the server"
        if min(cut) >= 0 and sum(cut) > num_blocks - 3:
            found = f"cut (h, t) = {cut} keeps {sum(cut)} extra blocks of a network of {num_blocks}"
        raise CutError(where, found, f"use one of {', '.join(map(str, valid))}")


def anchor_pair(anchor: Any) -> tuple[int | None, int | None]:
    """`anchor` as (generator's, discriminator's).

    Raises:
        CutError: it is neither a whole number, nor a pair of them, nor None.
    """
    pair = tuple(anchor) if isinstance(anchor, tuple | list) else (anchor, anchor)
    whole = all(block is None or (isinstance(block, int) and not isinstance(block, bool)) for block in pair)
    if len(pair) != 2 or not whole:
        raise CutError("anchor", repr(anchor), "give a block number, a pair of them, or None")
    return pair


def allowed_pairs(
    device: Device, costs: tuple[NetworkCost, NetworkCost], cuts: tuple[tuple[Cut, ...], tuple[Cut, ...]]
) -> Allowed:
    """Which pairs of cuts the device may use: bool [generator's cuts, discriminator's cuts].

    Raises:
        CutError: none is allowed; it names the device, what it needs and what it has.
    """
    allowed = np.outer(*(_keeps(device, network, costs[network], cuts[network]) for network in (0, 1)))
    if device.memory_bytes is None:
        return allowed
    need_bytes = np.add.outer(
        *(_needs_bytes(device, network, costs[network], cuts[network]) for network in (0, 1))
    )
    fits = allowed & (need_bytes <= device.memory_bytes)
    if not fits.any():
        least = need_bytes[allowed].min()
        found = f"needs at least {least:,.0f} bytes, has {device.memory_bytes:,.0f}"
        remedy = "use a smaller batch, narrower networks or more memory"
        raise CutError(f"memory_bytes of device {device.name!r}", found, remedy)
    return fits


def _keeps(device: Device, network: int, cost: NetworkCost, cuts: tuple[Cut, ...]) -> Allowed:
    """Which cuts keep local what must be, and leave what must not: bool [cuts]."""
    must, must_not = set(device.local_blocks[network]), set(device.server_blocks[network])
    where = f"local_blocks and server_blocks of device {device.name!r}"
    outside = [block for block in must | must_not if not 0 <= block < cost.num_blocks]
    if outside:
        found = f"block {outside[0]} of a {NETWORKS[network]} of {cost.num_blocks} blocks"
        raise CutError(where, found, f"give blocks from 0 to {cost.num_blocks - 1}")
    local = [set(local_blocks(cut, cost.num_blocks)) for cut in cuts]
    keeps = np.array([must <= blocks and not (must_not & blocks) for blocks in local])
    if not keeps.any():
        found = f"no valid cut of the {NETWORKS[network]} keeps {sorted(must)} and leaves {sorted(must_not)}"
        raise CutError(where, found, "ask for fewer blocks, or move the anchor")
    return keeps


def _needs_bytes(
    device: Device, network: int, cost: NetworkCost, cuts: tuple[Cut, ...]
) -> npt.NDArray[np.float64]:
    """Bytes that a client needs for its blocks of one network, for each of `cuts`."""
    if cost.memory_bytes is None:
        field = "parameter_bytes" if cost.parameter_bytes is None else "activation_bytes"
        found = f"missing, but device {device.name!r} has memory_bytes"
        raise CutError(f"{NETWORKS[network]}.{field}", found, "give it, or leave memory_bytes out")
    memory = cost.memory_bytes
    return np.array([sum(memory[block] for block in local_blocks(cut, cost.num_blocks)) for cut in cuts])
