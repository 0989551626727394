"""When every client and block of an iteration computes, sends and waits.

`breakdown` follows the latency model: it ends every pass when its slowest client is done, and adds up the passes.
raygan's actors have no such barrier: a fast client goes on with its part of the next pass, and of the next step,
while others still work; only a body block waits for everybody who enters there. `overlapped_seconds` leaves the
barriers out, so steps follow each other at most as far apart as the model says: the sum of the slowest is at
least the slowest sum. One client, or one slowest client in all passes, makes them equal.

Same times, same body, no barriers: with s_i when client i is done with what came before, of m passes that
travel together (m = 2 where D sees fakes and reals)

    H_i = s_i + m (first blocks + up-link)_i
    T_b = max(T_{b-1}, max_{i enters at b} H_i) + m F_b n_b / c_s           T goes on from pass to pass
    s_i = T_{i leaves} + m (down-link + last blocks)_i

`pipelined_seconds` is the same of a body in sections, machines of their own, each with some blocks in a row and a clock:
the m minibatches of all clients go through a section's blocks one after the other, and while a section has the second,
the next has the first. As every receiver does, a section takes the seconds of the bytes that come in, of each client
that is inside at its border, before it computes with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Protocol

import numpy as np

from raygan.cuts.latency import Floats, Ints, PassTimes, phase_name
from raygan.cuts.problem import Problem
from raygan.names import NetworkName
from raygan.step import CROSSINGS

WARM_STEPS = 10
"""Steps until the clients' clocks have spread as far as they do."""
TIMED_STEPS = 10

Segment = tuple[str, float, float]
"""(activity, start, end), seconds from the start of the pass."""


@dataclass(frozen=True)
class BlockPass:
    """One body block in one pass, seconds from the start of the pass."""

    block: int
    start_s: float
    end_s: float
    num_clients: int


@dataclass(frozen=True)
class Phase:
    """All passes of one network in one direction."""

    name: str
    repeats: int
    pass_s: float
    """One pass."""
    clients: tuple[tuple[Segment, ...], ...]
    """What each client does in a pass, in order: head or tail, up_link, wait and body in turn, down_link, tail or
    head. The last ends when it is done."""
    blocks: tuple[BlockPass, ...]
    """Those that some client leaves to the server, in the order in which they run."""
    slowest: int
    """The client that is done last."""

    @property
    def seconds(self) -> float:
        """All its passes."""
        return self.repeats * self.pass_s

    @property
    def server_busy_s(self) -> float:
        """Seconds that the server computes in all of them."""
        return self.repeats * sum(block.end_s - block.start_s for block in self.blocks)


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
        """Seconds of an iteration that a client spends on each activity (`Phase.clients`)."""
        spent = dict.fromkeys(("head", "up_link", "wait", "body", "down_link", "tail"), 0.0)
        for phase in self.phases:
            for activity, start_s, end_s in phase.clients[client]:
                spent[activity] += phase.repeats * (end_s - start_s)
        return spent

    def busy_s(self, client: int) -> float:
        """Seconds of an iteration that a client computes and sends."""
        return sum(s for activity, s in self.client_seconds(client).items() if activity not in ("wait", "body"))


def breakdown(task: Problem, choice: Ints) -> Breakdown:
    """Explain an assignment [K, 2]."""
    return Breakdown(tuple(_phase(one, task.class_of, cut_of) for one, cut_of in task.passes_with(choice)))


def overlapped_seconds(task: Problem, choice: Ints) -> float:
    """Seconds from step to step, warm, for an assignment [K, 2]; at most `task.latency(choice)`."""
    server_s = 0.0

    def body(one: PassTimes, cut_of: Ints, ready_s: Floats, together: int) -> Floats:
        nonlocal server_s
        blocks = _body(one, cut_of, ready_s, server_s, together)
        server_s = blocks[-1].end_s
        return np.array([block.end_s for block in blocks])

    return _step_seconds(task, choice, body)


def pipelined_seconds(task: Problem, choice: Ints, borders: Mapping[NetworkName, Sequence[int]]) -> float:
    """As `overlapped_seconds`, of a body in sections.

    Args:
        borders: network -> the blocks with which its sections begin, but the first's.
    """
    free_s = [0.0] * (1 + max(map(len, borders.values())))

    def body(one: PassTimes, cut_of: Ints, ready_s: Floats, together: int) -> Floats:
        return _sections(one, cut_of, ready_s, together, borders[one.network], free_s)

    return _step_seconds(task, choice, body)


class _Body(Protocol):
    """The server's side of a pass, which keeps its clocks from pass to pass."""

    def __call__(self, one: PassTimes, cut_of: Ints, ready_s: Floats, together: int) -> Floats:
        """[B-2]: when each of its blocks has the last of the minibatches behind it; arguments as `_body`."""


def _step_seconds(task: Problem, choice: Ints, body: _Body) -> float:
    passes = {one.phase: (one, cut_of) for one, cut_of in task.passes_with(choice)}
    clocks_s, class_of = np.zeros(len(task.clients)), task.class_of
    ends_s = [0.0]
    for _ in range(WARM_STEPS + TIMED_STEPS):
        for crossing in CROSSINGS:
            one, cut_of = passes[phase_name(crossing.way.network, crossing.direction)]
            together, leave = crossing.num_tensors, one.leave[cut_of]
            ready_s = clocks_s + together * one.ready_s[class_of, one.enter[cut_of]]
            left_s = body(one, cut_of, ready_s, together)
            clocks_s = left_s[len(left_s) - 1 - leave] + together * one.finish_s[class_of, leave]
        ends_s.append(float(clocks_s.max()))
    return (ends_s[-1] - ends_s[-1 - TIMED_STEPS]) / TIMED_STEPS


def _sections(
    one: PassTimes, cut_of: Ints, ready_s: Floats, together: int, borders: Sequence[int], free_s: list[float]
) -> Floats:
    """As `_Body`; `free_s` is when each section is free, and is brought up to date."""
    enter, leave, last = one.enter[cut_of], one.leave[cut_of], one.num_blocks - 1
    spans = [range(*span) for span in pairwise((1, *borders, last))]
    in_order = list(enumerate(spans))
    if one.direction == "backward":
        in_order = [(section, range(last + 1 - span.stop, last + 1 - span.start)) for section, span in in_order[::-1]]
    ends_s, arrived_s = np.zeros(last - 1), np.zeros(together)
    for place, (section, blocks) in enumerate(in_order):
        now_s = free_s[section]
        for batch in range(together):
            now_s = max(now_s, float(arrived_s[batch]))
            carried = int(((enter < blocks[0] - 1) & (leave < last - blocks[0])).sum()) if place else 0
            now_s += float(one.border_s[blocks[0]]) * carried
            for block in blocks:
                now_s = float(ready_s[enter == block - 1].max(initial=now_s))
                now_s += float(one.block_s[block]) * int(((enter < block) & (leave < last - block)).sum())
                ends_s[block - 1] = now_s
            arrived_s[batch] = now_s
        free_s[section] = now_s
    return ends_s


def _body(one: PassTimes, cut_of: Ints, ready_s: Floats, server_s: float = 0.0, together: int = 1) -> list[BlockPass]:
    """Body blocks 1..B-2, numbered in the direction of the pass: what each client sends has arrived at `ready_s` [K], the
    server is free at `server_s`, and `together` minibatches of each client are in the pass."""
    enter, leave = one.enter[cut_of], one.leave[cut_of]
    blocks: list[BlockPass] = []
    now_s = server_s
    for block in range(1, one.num_blocks - 1):
        now_s = float(ready_s[enter == block - 1].max(initial=now_s))
        inside = int(((enter < block) & (leave < one.num_blocks - 1 - block)).sum())
        end_s = now_s + together * (float(one.block_s[block]) * inside + float(one.exchange_s[block]) * bool(inside))
        blocks.append(BlockPass(block, now_s, end_s, inside))
        now_s = end_s
    return blocks


def _phase(one: PassTimes, class_of: Ints, cut_of: Ints) -> Phase:
    blocks = _body(one, cut_of, one.ready_s[class_of, one.enter[cut_of]])
    members = zip(class_of.tolist(), cut_of.tolist(), strict=True)
    clients = tuple(_segments(one, *member, blocks) for member in members)
    ends_s = [segments[-1][2] for segments in clients]
    last = one.num_blocks - 1
    shown = tuple(
        replace(block, block=last - block.block) if one.direction == "backward" else block
        for block in blocks
        if block.num_clients
    )
    return Phase(one.phase, one.repeats, max(ends_s), clients, shown, ends_s.index(max(ends_s)))


def _segments(one: PassTimes, member: int, cut: int, blocks: list[BlockPass]) -> tuple[Segment, ...]:
    enter, leave = int(one.enter[cut]), int(one.leave[cut])
    first_s, up_s = float(one.first_s[member, enter]), float(one.up_s[member, enter])
    down_s, last_s = float(one.down_s[leave]), float(one.last_s[member, leave])
    first, last = ("tail", "head") if one.direction == "backward" else ("head", "tail")
    now_s = first_s + up_s
    segments: list[Segment] = [(first, 0.0, first_s), ("up_link", first_s, now_s)]
    for block in blocks[enter : one.num_blocks - 2 - leave]:
        if block.start_s > now_s:
            segments.append(("wait", now_s, block.start_s))
        segments.append(("body", block.start_s, block.end_s))
        now_s = block.end_s
    end_s = now_s + down_s + last_s
    return (*segments, ("down_link", now_s, now_s + down_s), (last, now_s + down_s, end_s))
