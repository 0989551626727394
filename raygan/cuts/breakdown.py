"""Where the time of an iteration goes: every phase, client and block, and who waits for whom."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raygan.cuts.latency import REPEATS, Ints, Pass
from raygan.cuts.problem import PHASES, Problem

Segment = tuple[str, float, float]
"""(activity, start, end), seconds from the start of the pass."""


@dataclass(frozen=True)
class Wait:
    """A client waits for the server, from `start_s` to `end_s` of the pass."""

    start_s: float
    end_s: float
    waits_for: int | None
    """The client whose activation the server had to wait for; None: itself or nobody, the server was busy."""

    @property
    def seconds(self) -> float:
        """How long."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class ClientPass:
    """One client in one pass, seconds.

    `first` are the blocks before the body in the pass's direction (the head in a forward pass, the tail in a
    backward pass), `last` those after it.
    """

    client: int
    first_s: float
    up_link_s: float
    wait_s: float
    """From having sent until the server starts its first block, and between its blocks."""
    body_s: float
    down_link_s: float
    last_s: float
    end_s: float
    """When it is done; the sum of the above."""
    waits: tuple[Wait, ...]
    segments: tuple[Segment, ...]
    """The same in order: head or tail, up_link, wait and body in turn, down_link, tail or head."""

    @property
    def waits_for(self) -> int | None:
        """The client that it waits for longest; None if for nobody in particular."""
        longest = max(self.waits, key=lambda wait: wait.seconds, default=None)
        return longest.waits_for if longest else None


@dataclass(frozen=True)
class BlockPass:
    """One body block in one pass, seconds from the start of the pass."""

    block: int
    start_s: float
    end_s: float
    num_clients: int
    held_by: int | None
    """The client whose arrival decided when this block could start, or the last one before it that waited."""


@dataclass(frozen=True)
class Phase:
    """All passes of one network in one direction."""

    name: str
    repeats: int
    pass_s: float
    """One pass."""
    clients: tuple[ClientPass, ...]
    blocks: tuple[BlockPass, ...]
    """Those that some client leaves to the server, in the order in which they run."""
    slowest: int
    """The client that is done last."""

    @property
    def seconds(self) -> float:
        """All its passes."""
        return self.repeats * self.pass_s


@dataclass(frozen=True)
class Breakdown:
    """One iteration."""

    phases: tuple[Phase, ...]

    @property
    def latency_s(self) -> float:
        """Seconds of the iteration."""
        return sum(phase.seconds for phase in self.phases)

    @property
    def slowest(self) -> int:
        """The client that decides the longest phase."""
        return max(self.phases, key=lambda phase: phase.seconds).slowest

    def client_seconds(self, client: int) -> dict[str, float]:
        """Seconds of an iteration that a client spends on each activity (`ClientPass.segments`)."""
        spent = dict.fromkeys(("head", "up_link", "wait", "body", "down_link", "tail"), 0.0)
        for phase in self.phases:
            for activity, start_s, end_s in phase.clients[client].segments:
                spent[activity] += phase.repeats * (end_s - start_s)
        return spent


def breakdown(task: Problem, choice: Ints) -> Breakdown:
    """Explain an assignment [K, 2]."""
    passes = [(network, backward) for network in (0, 1) for backward in (0, 1)]
    return Breakdown(
        tuple(
            _phase(task, PHASES[2 * network + backward], network, bool(backward), choice[:, network])
            for network, backward in passes
        )
    )


def _phase(task: Problem, name: str, network: int, backward: bool, cut_of: Ints) -> Phase:
    one = task.passes[network][int(backward)]
    blocks = _blocks(one, task.class_of, cut_of)
    clients = tuple(
        _client(one, client, int(task.class_of[client]), int(cut_of[client]), blocks, backward)
        for client in range(len(cut_of))
    )
    slowest = max(clients, key=lambda client: client.end_s)
    last = one.num_blocks - 1
    shown = tuple(
        BlockPass(last - block.block, block.start_s, block.end_s, block.num_clients, block.held_by)
        if backward
        else block
        for block in blocks
        if block.num_clients
    )
    return Phase(name, REPEATS[network], slowest.end_s, clients, shown, slowest.client)


def _blocks(one: Pass, class_of: Ints, cut_of: Ints) -> list[BlockPass]:
    """Body blocks 1..B-2, numbered in the direction of the pass."""
    enter, leave = one.enter[cut_of], one.leave[cut_of]
    ready_s = one.ready_s[class_of, enter]
    blocks: list[BlockPass] = []
    now_s, held_by = 0.0, None
    for block in range(1, one.num_blocks - 1):
        entering = np.flatnonzero(enter == block - 1)
        if len(entering):
            last = int(entering[ready_s[entering].argmax()])
            if ready_s[last] >= now_s:
                now_s, held_by = float(ready_s[last]), last
        inside = int(((enter < block) & (leave < one.num_blocks - 1 - block)).sum())
        end_s = now_s + float(one.block_s[block]) * inside
        blocks.append(BlockPass(block, now_s, end_s, inside, held_by))
        now_s = end_s
    return blocks


def _client(
    one: Pass, client: int, member: int, cut: int, blocks: list[BlockPass], backward: bool
) -> ClientPass:
    enter, leave = int(one.enter[cut]), int(one.leave[cut])
    first_s, up_s = float(one.first_s[member, enter]), float(one.up_s[member, enter])
    down_s, last_s = float(one.down_s[leave]), float(one.last_s[member, leave])
    first, last = ("tail", "head") if backward else ("head", "tail")
    now_s = first_s + up_s
    segments: list[Segment] = [(first, 0.0, first_s), ("up_link", first_s, now_s)]
    waits, body_s = [], 0.0
    for block in blocks[enter : one.num_blocks - 2 - leave]:
        if block.start_s > now_s:
            waits.append(Wait(now_s, block.start_s, block.held_by if block.held_by != client else None))
            segments.append(("wait", now_s, block.start_s))
        segments.append(("body", block.start_s, block.end_s))
        body_s += block.end_s - block.start_s
        now_s = block.end_s
    segments += [("down_link", now_s, now_s + down_s), (last, now_s + down_s, now_s + down_s + last_s)]
    wait_s = sum(wait.seconds for wait in waits)
    end_s = now_s + down_s + last_s
    return ClientPass(
        client, first_s, up_s, wait_s, body_s, down_s, last_s, end_s, tuple(waits), tuple(segments)
    )
