"""What more replicas of the body bring, by the latency model: each number of them with cuts of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raygan.config.schema import Config
from raygan.cuts.cost import NetworkCost
from raygan.cuts.cut import Anchor
from raygan.cuts.planner import Plan, plan_config
from raygan.errors import InputError

WORTH = 0.95
"""More replicas pay where an iteration then takes at most so much of its time before."""


@dataclass(frozen=True)
class Replicated:
    """A plan for so many replicas."""

    replicas: int
    latency_s: float
    """Predicted seconds of one iteration."""
    exchange_s: float
    """Of them, seconds in which the replicas exchange numbers."""
    server_busy_s: float
    """Of them, seconds in which the replicas compute or exchange numbers."""


def plan_replicas(
    config: Config,
    counts: Sequence[int],
    *,
    generator: NetworkCost,
    discriminator: NetworkCost,
    anchor: Anchor = 2,
    least_heads: Sequence[int] = (),
) -> list[Replicated]:
    """One row for each number of replicas, as the configuration plans; `least_heads` and errors as `plan_config`.

    Raises:
        InputError: more replicas than clients.
    """
    if max(counts) > config.num_clients:
        found = f"{max(counts)} replicas for {config.num_clients} clients"
        raise InputError("--replicas", found, f"give at most {config.num_clients}, an actor of clients each")
    rows = []
    for count in counts:
        ray = config.ray.model_copy(update={"body_replicas": count})
        changed = config.model_copy(update={"ray": ray})
        plan = plan_config(
            changed, generator=generator, discriminator=discriminator, anchor=anchor, least_heads=least_heads
        )
        busy_s = sum(phase.server_busy_s for phase in plan.breakdown.phases)
        rows.append(Replicated(count, plan.latency_s, _exchange_s(plan), busy_s))
    return rows


def most_that_pay(rows: Sequence[Replicated]) -> int:
    """The number of replicas from which the next larger one is hardly faster, or slower."""
    ordered = sorted(rows, key=lambda row: row.replicas)
    best = ordered[0]
    for row in ordered[1:]:
        if row.latency_s > WORTH * best.latency_s:
            break
        best = row
    return best.replicas


def _exchange_s(plan: Plan) -> float:
    """Of all blocks that some client leaves to the server, in all passes of an iteration."""
    seconds = 0.0
    passes = [one for pair in plan.problem.passes for one in pair]
    for one, phase in zip(passes, plan.breakdown.phases, strict=True):
        last = one.num_blocks - 1
        numbers = [last - block.block if one.direction == "backward" else block.block for block in phase.blocks]
        seconds += one.repeats * float(one.exchange_s[numbers].sum())
    return seconds
