"""One planning of a fleet with everything there is to tell about it: what the command line prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from raygan.config.schema import Config
from raygan.cuts.cost import NetworkCost
from raygan.cuts.cut import Anchor, local_blocks
from raygan.cuts.genetic import evolve
from raygan.cuts.latency import Ints
from raygan.cuts.planner import Plan, plan_config
from raygan.names import Cut, Cuts


@dataclass(frozen=True)
class ProfileRow:
    """The clients of one profile with the same cuts."""

    profile: str
    num_clients: int
    generator: Cut
    """(h, t) of the generator."""
    discriminator: Cut
    """(h, t) of the discriminator."""
    busy_s: float
    """Seconds of an iteration that such a client computes and sends."""
    wait_s: float
    """Seconds of an iteration that it waits for the server or, through it, for others."""


@dataclass(frozen=True)
class Baseline:
    """One way of choosing the cuts, beside the plan."""

    name: str
    """`uniform`, `all_server`, `all_client` or `ga`; of the plan itself `exact`, `ga` or `fixed`."""
    latency_s: float
    """Predicted seconds of one iteration."""
    times_planned: float
    """Its latency over the plan's."""
    allowed: bool
    """Whether all devices could really do it (memory, blocks that must or must not stay local)."""
    cuts: Cuts | None = None
    """The cuts that everyone has; None if they differ."""


@dataclass(frozen=True)
class Study:
    """A plan and what it is compared with."""

    plan: Plan
    compared: tuple[Baseline, ...]

    def profile_rows(self) -> list[ProfileRow]:
        """The chosen cuts of every profile, in the order in which profiles first appear."""
        alike: dict[tuple[str, Cuts], list[int]] = {}
        for client, (device, cuts) in enumerate(zip(self.plan.problem.clients, self.plan.cuts, strict=True)):
            alike.setdefault((device.name, cuts), []).append(client)
        rows = []
        for (name, cuts), clients in alike.items():
            spent = self.plan.breakdown.client_seconds(clients[0])
            busy_s = sum(spent[activity] for activity in ("head", "up_link", "down_link", "tail"))
            rows.append(ProfileRow(name, len(clients), *cuts, busy_s, spent["wait"]))
        return rows

    def comparison_rows(self) -> list[Baseline]:
        """The plan itself first, then the others from fast to slow."""
        planned = Baseline(self.plan.solver, self.plan.latency_s, 1.0, True)
        return [planned, *sorted(self.compared, key=lambda baseline: baseline.latency_s)]

    @property
    def slowest(self) -> str:
        """The client that decides the longest phase, as `profile (client number)`."""
        return self.client_name(self.plan.breakdown.slowest)

    def client_name(self, client: int) -> str:
        """Such as `paper_device_1 (client 0)`."""
        return f"{self.plan.problem.clients[client].name} (client {client})"

    def to_json(self) -> dict[str, Any]:
        """`Plan.to_json` with the rows."""
        rows = {
            "profiles": [vars(row) for row in self.profile_rows()],
            "phases": [
                {
                    "phase": phase.name,
                    "repeats": phase.repeats,
                    "seconds": phase.seconds,
                    "slowest": self.client_name(phase.slowest),
                    "server_busy_s": phase.server_busy_s,
                }
                for phase in self.plan.breakdown.phases
            ],
            "comparison": [vars(row) for row in self.comparison_rows()],
        }
        return {**self.plan.to_json(), "slowest": self.slowest, **rows}


def plan_study(
    config: Config, *, generator: NetworkCost, discriminator: NetworkCost, anchor: Anchor = 2
) -> Study:
    """Plan, and compare with the simpler choices (and with the genetic algorithm, unless it made the plan); errors as
    `plan`."""
    chosen = plan_config(config, generator=generator, discriminator=discriminator, anchor=anchor)
    compared = [best_uniform(chosen), all_server(chosen), all_client(chosen)]
    if chosen.solver != "ga":
        rng = np.random.default_rng(config.seed)
        evolved = evolve(chosen.problem, config.cuts.ga, rng, config.cuts.time_limit_s)
        compared.append(_baseline(chosen, "ga", evolved.choice, allowed=True))
    return Study(chosen, tuple(compared))


def all_server(chosen: Plan) -> Baseline:
    """Everyone keeps nothing extra."""
    return _uniform(chosen, "all_server", 0, 0)


def all_client(chosen: Plan) -> Baseline:
    """Everyone keeps as much computation as valid cuts permit."""
    largest = []
    for cost, cuts in zip(chosen.problem.costs, chosen.problem.cuts, strict=True):
        work = np.array(cost.forward_flops) + np.array(cost.backward_flops)
        kept = [work[list(local_blocks(cut, cost.num_blocks))].sum() for cut in cuts]
        largest.append(int(np.argmax(kept)))
    return _uniform(chosen, "all_client", *largest)


def best_uniform(chosen: Plan) -> Baseline:
    """The best cuts that everyone can have; if no cuts are allowed for all, the best without limits."""
    seconds = chosen.problem.uniform_seconds()
    allowed = chosen.problem.allowed.all(axis=0)
    if allowed.any():
        seconds = np.where(allowed, seconds, np.inf)
    generator, discriminator = np.unravel_index(seconds.argmin(), seconds.shape)
    return _uniform(chosen, "uniform", int(generator), int(discriminator))


def _uniform(chosen: Plan, name: str, generator: int, discriminator: int) -> Baseline:
    """Everyone with the same of the valid cuts."""
    task = chosen.problem
    choice = np.tile(np.array([generator, discriminator], dtype=np.int64), (len(task.clients), 1))
    allowed = bool(task.allowed[:, generator, discriminator].all())
    return _baseline(chosen, name, choice, allowed, task.client_cuts(choice[:1])[0])


def _baseline(chosen: Plan, name: str, choice: Ints, allowed: bool, cuts: Cuts | None = None) -> Baseline:
    latency_s = chosen.problem.latency(choice)
    times = latency_s / chosen.latency_s if chosen.latency_s else 1.0
    return Baseline(name, latency_s, times, allowed, cuts)
