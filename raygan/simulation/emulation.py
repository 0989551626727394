"""Emulation: clients and body take as long as their device profiles say (`devices.emulate`).

The seconds are the latency model's (`raygan.cuts.latency`), by the phases of a step (`raygan.step`). With the seconds
of one pass of one network and direction, per client: `first` (computing before it sends), `up_link`, `down_link`,
`last` (computing with what it received), a phase takes

    n * (down_link + last)      of the n tensors with which it begins, in the pass that they come out of
    + m * (first + up_link)     of the m tensors that it sends, in the pass that they go into

The body takes F_b n_b / c_s for its blocks. A down-link is spent by its receiver, so that it never blocks the
body. Real computing counts: a phase sleeps for the rest. Clients of one actor are devices of their own: they
have equal profiles and cuts and take their time together, not one after the other.

Numbers do not change: only when a phase returns does. Where networks are whole on clients, or D is, a call is a phase,
with the seconds of `raygan.cuts.fleet`: what runs the party holds its calls back.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from raygan.names import NETWORKS, Direction, NetworkName
from raygan.step import CROSSINGS, PHASES, STEP
from raygan.wire.records import StepId

if TYPE_CHECKING:
    from raygan.cuts import Plan
    from raygan.cuts.latency import Floats

TOLERATED = 0.05
"""Share of a step by which real work may outlast the emulated devices before it is a fault."""


@dataclass(frozen=True)
class Pace:
    """How long everything takes on the emulated hardware."""

    phases: tuple[Mapping[str, float], ...] | Mapping[int, Mapping[str, float]]
    """For each client (in order, or by number), seconds of its phases of a step with a full minibatch."""
    blocks: Mapping[tuple[NetworkName, Direction], tuple[float, ...]]
    """(network, direction) -> for each block, the server's seconds for one client's minibatch."""
    batch_size: int
    """Images in a full minibatch; a smaller one takes its share."""
    step_s: float
    """Predicted seconds of a step."""
    exchanges: Mapping[tuple[NetworkName, Direction], tuple[float, ...]] = field(default_factory=dict)
    """(network, direction) -> for each block, seconds that replicas of the server exchange numbers; empty: there are
    none."""

    borders: Mapping[tuple[NetworkName, Direction], tuple[float, ...]] = field(default_factory=dict)
    """(network, direction) -> for each block, seconds in which a section of the body that begins with it receives one
    client's minibatch from the section before; empty: it is whole."""

    def of_clients(self, numbers: Sequence[int]) -> Pace:
        """The same by the clients' numbers, which are in the order of `phases`."""
        return replace(self, phases={number: self.phases[place] for place, number in enumerate(numbers)})

    def body_seconds(
        self, network: NetworkName, direction: Direction, blocks: range, num_images: Sequence[int], carried: int = 0
    ) -> float:
        """Seconds of the server, a replica or a section, for a stage of the body over merged batches of such sizes.

        Args:
            carried: images of which a section receives the rows from the one before it.
        """
        per_minibatch = sum(self.blocks[network, direction][block] for block in blocks)
        computing_s = per_minibatch * sum(num_images) / self.batch_size
        if carried:
            first = blocks[0] if direction == "forward" else blocks[-1]
            computing_s += self.borders[network, direction][first] * carried / self.batch_size
        if not self.exchanges:
            return computing_s
        return computing_s + len(num_images) * sum(self.exchanges[network, direction][block] for block in blocks)


def plan_pace(
    plan: Plan, batch_size: int, replicas: int = 1, borders: Mapping[NetworkName, Sequence[int]] | None = None
) -> Pace:
    """The pace of planned cuts, from the times with which they were planned.

    Args:
        replicas: of the server, which the plan knows of: a minibatch is computed by one of them.
        borders: of its sections, as `pipelined_seconds` takes them; None or empty: it is whole.
    """
    blocks: dict[tuple[NetworkName, Direction], tuple[float, ...]] = {}
    exchanges: dict[tuple[NetworkName, Direction], tuple[float, ...]] = {}
    receives: dict[tuple[NetworkName, Direction], tuple[float, ...]] = {}
    for network, passes in zip(NETWORKS, plan.problem.passes, strict=True):
        for one, order in zip(passes, (1, -1), strict=True):
            blocks[network, one.direction] = tuple((replicas * one.block_s[::order]).tolist())
            exchanges[network, one.direction] = tuple(one.exchange_s[::order].tolist())
            receives[network, one.direction] = tuple(one.border_s[::order].tolist())
    of_clients = _phase_seconds(plan)
    clients = tuple({name: float(s[client]) for name, s in of_clients.items()} for client in range(len(plan.cuts)))
    step_s = plan.pipelined_s(borders) if borders else plan.overlapped_s
    return Pace(clients, blocks, batch_size, step_s, exchanges if replicas > 1 else {}, receives if borders else {})


def _phase_seconds(plan: Plan) -> dict[str, Floats]:
    """Phase of a step -> seconds of each client [K]."""
    task = plan.problem
    sends_s, receives_s = {}, {}
    for one, cut_of in task.passes_with(task.choice_of(plan.cuts)):
        sends_s[one.phase] = one.ready_s[task.class_of, one.enter[cut_of]]
        receives_s[one.phase] = one.finish_s[task.class_of, one.leave[cut_of]]
    seconds = {name: np.zeros(len(plan.cuts)) for name in PHASES}
    for crossing, (sender, receiver) in zip(CROSSINGS, pairwise(STEP), strict=True):
        crossed = f"{crossing.way.network}_{crossing.direction}"
        seconds[sender.name] += crossing.num_tensors * sends_s[crossed]
        seconds[receiver.name] += crossing.num_tensors * receives_s[crossed]
    return seconds


class PacedCalls:
    """Holds back a party's calls until its devices would be done.

    Args:
        seconds: method -> what a call takes with full minibatches; others take what they need.
        step_s: predicted seconds of a step.
    """

    def __init__(self, name: str, seconds: Mapping[str, float], step_s: float) -> None:
        self._name, self._seconds, self._step_s = name, seconds, step_s
        self._overtime_s = self._held_s = 0.0
        self._told_round = -1

    def hold(self, method: str, started: float) -> None:
        """Returns when the call would have ended.

        Args:
            started: `time.perf_counter()` when it began.
        """
        if method in self._seconds:
            self._hold_for(self._seconds[method], started)

    def held_s(self) -> float:
        """Seconds by which calls were held back since it was asked last."""
        held_s, self._held_s = self._held_s, 0.0
        return held_s

    def end_step(self, step: StepId) -> list[str]:
        """The fault, if real work outlasted the emulated devices in this step; once a round, and not for a
        round's first step, which is slow where torch and Ray are still warming up."""
        overtime_s, self._overtime_s = self._overtime_s, 0.0
        if step.step == 0 or step.round == self._told_round or overtime_s <= TOLERATED * self._step_s:
            return []
        self._told_round = step.round
        return [
            f"{self._name}: too slow to emulate its device: {overtime_s:.2g} s of real work too much in a step "
            f"predicted to take {self._step_s:.2g} s; use slower profiles or smaller networks"
        ]

    def _hold_for(self, seconds: float, started: float) -> None:
        rest_s = started + seconds - time.perf_counter()
        if rest_s > 0:
            self._held_s += rest_s
            time.sleep(rest_s)
        else:
            self._overtime_s -= rest_s


class Pacer(PacedCalls):
    """Holds back one actor's part of a split network."""

    def __init__(self, pace: Pace | None, name: str) -> None:
        super().__init__(name, {}, pace.step_s if pace is not None else 0.0)
        self._pace = pace

    def hold_client(self, phase: str, started: float, num_images: Mapping[int, int]) -> None:
        """Returns when the slowest of the clients would have ended its phase.

        Args:
            started: `time.perf_counter()` when the phase began.
            num_images: client -> images in its minibatch.
        """
        if self._pace is not None:
            pace = self._pace
            shares = [count / pace.batch_size * pace.phases[c][phase] for c, count in num_images.items()]
            self._hold_for(max(shares, default=0.0), started)

    def hold_body(
        self,
        network: NetworkName,
        direction: Direction,
        blocks: range,
        num_images: Sequence[int],
        started: float,
        carried: int = 0,
    ) -> None:
        """Returns when the server would have run a stage over merged batches of so many images; `carried` as
        `Pace.body_seconds`."""
        if self._pace is not None:
            self._hold_for(self._pace.body_seconds(network, direction, blocks, num_images, carried), started)
