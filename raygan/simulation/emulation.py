"""Emulation: clients and body take as long as their device profiles say (`devices.emulate`).

The seconds are the latency model's (`raygan.cuts.latency`), by the turns that a client really takes. With
F, W the forward and backward seconds of a head or tail, U the up-link, V the down-link at the head's or the
tail's cut, all of one pass:

    generate              F head G + U
    discriminate          V + F tail G, then twice (fakes, reals) F head D + U
    judge                 twice V + F tail D, then W tail D + U
    update_discriminator  twice V + W head D, then F head D + U
    fool                  V + F tail D, then W tail D + U
    backpropagate         V + W head D, then W tail G + U
    update_generator      V + W head G

The body takes F_b n_b / c_s for its blocks. A down-link is spent by its receiver, so that it never blocks the
body. Real computing counts: a turn sleeps for the rest. Clients of one actor are devices of their own: they
have equal profiles and cuts and take their time together, not one after the other.

Numbers do not change: only when a turn returns does.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from raygan.cuts import ClientPass, Plan
from raygan.errors import ConfigError
from raygan.wire.records import NETWORKS, NetworkName, StepId

TOLERATED = 0.05
"""Share of a step by which real work may outlast the emulated devices before it is a fault."""


@dataclass(frozen=True)
class Pace:
    """How long everything takes on the emulated hardware."""

    turns: tuple[Mapping[str, float], ...]
    """For each client, seconds of its turns with a full minibatch."""
    blocks: Mapping[tuple[NetworkName, str], tuple[float, ...]]
    """(network, "forward" or "backward") -> for each block, the server's seconds for one client's minibatch."""
    batch_size: int
    """Images in a full minibatch; a smaller one takes its share."""
    step_s: float
    """Predicted seconds of a step."""

    def body_seconds(self, network: NetworkName, direction: str, blocks: range, num_images: int) -> float:
        """The server's seconds for a stage of the body over a merged batch."""
        per_minibatch = sum(self.blocks[network, direction][block] for block in blocks)
        return per_minibatch * num_images / self.batch_size


def plan_pace(plan: Plan, batch_size: int) -> Pace:
    """The pace of planned cuts, from the times with which they were planned."""
    blocks: dict[tuple[NetworkName, str], tuple[float, ...]] = {}
    for network, (forward, backward) in zip(NETWORKS, plan.problem.passes, strict=True):
        blocks[network, "forward"] = tuple(forward.block_s.tolist())
        blocks[network, "backward"] = tuple(backward.block_s[::-1].tolist())
    phases = {phase.name: phase.clients for phase in plan.breakdown.phases}
    turns = tuple(
        _turns(
            *(phases[f"{network}_{way}"][client] for network in NETWORKS for way in ("forward", "backward"))
        )
        for client in range(len(plan.cuts))
    )
    return Pace(turns, blocks, batch_size, plan.overlapped_s)


def _turns(gf: ClientPass, gb: ClientPass, df: ClientPass, db: ClientPass) -> dict[str, float]:
    """Seconds of one client's turns, from one pass of G and of D forward and backward."""
    return {
        "generate": _sends(gf),
        "discriminate": _receives(gf) + 2 * _sends(df),
        "judge": 2 * (_receives(df) + _sends(db)),
        "update_discriminator": 2 * _receives(db) + _sends(df),
        "fool": _receives(df) + _sends(db),
        "backpropagate": _receives(db) + _sends(gb),
        "update_generator": _receives(gb),
    }


def _sends(one: ClientPass) -> float:
    return one.first_s + one.up_link_s


def _receives(one: ClientPass) -> float:
    return one.down_link_s + one.last_s


class Pacer:
    """Holds back one actor's turns until its devices would be done."""

    def __init__(self, pace: Pace | None, name: str) -> None:
        self._pace, self._name = pace, name
        self._overtime_s = 0.0
        self._told_round = -1

    def hold_client(self, turn: str, started: float, num_images: Mapping[int, int]) -> None:
        """Returns when the slowest of the clients would have ended its turn.

        Args:
            started: `time.perf_counter()` when the turn began.
            num_images: client -> images in its minibatch.
        """
        if self._pace is not None:
            pace = self._pace
            shares = [count / pace.batch_size * pace.turns[c][turn] for c, count in num_images.items()]
            self._hold(started, max(shares, default=0.0))

    def hold_body(
        self, network: NetworkName, direction: str, blocks: range, num_images: Sequence[int], started: float
    ) -> None:
        """Returns when the server would have run a stage over merged batches of so many images."""
        if self._pace is not None:
            self._hold(started, self._pace.body_seconds(network, direction, blocks, sum(num_images)))

    def end_step(self, step: StepId) -> list[str]:
        """The fault, if real work outlasted the emulated devices in this step; once a round, and not for a
        round's first step, which is slow where torch and Ray are still warming up."""
        overtime_s, self._overtime_s = self._overtime_s, 0.0
        if self._pace is None or step.step == 0 or step.round == self._told_round:
            return []
        if overtime_s <= TOLERATED * self._pace.step_s:
            return []
        self._told_round = step.round
        return [
            f"{self._name}: too slow to emulate its device: {overtime_s:.2g} s of real work too much in a step "
            f"predicted to take {self._pace.step_s:.2g} s; use slower profiles or smaller networks"
        ]

    def _hold(self, started: float, seconds: float) -> None:
        rest_s = started + seconds - time.perf_counter()
        if rest_s > 0:
            time.sleep(rest_s)
        else:
            self._overtime_s -= rest_s


def refuse_emulation(pace: Pace | None) -> None:
    """One process has no devices that work at the same time.

    Raises:
        ConfigError: emulation is asked for.
    """
    if pace is not None:
        raise ConfigError(
            "devices.emulate",
            "true, but everything runs in one process",
            "train with Ray, or set it to false",
        )
