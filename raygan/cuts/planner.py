"""Choosing the cuts: the planner's front door."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from raygan.config.schema import Config, GeneticConfig
from raygan.cuts.cost import Device, NetworkCost, Server, positive
from raygan.cuts.cut import Anchor
from raygan.cuts.exact import PROOF_GAP, solve
from raygan.cuts.genetic import evolve
from raygan.cuts.latency import Ints
from raygan.cuts.problem import Problem, problem
from raygan.cuts.schedule import Breakdown, breakdown, overlapped_seconds
from raygan.errors import CutError
from raygan.names import Cuts

Solver = Literal["exact", "ga"]
BOUND_LIMIT_S = 10.0  # longest time for the bound of a plan that no exact solver made


@dataclass(frozen=True)
class Plan:
    """The cuts of every client and what they cost."""

    cuts: tuple[Cuts, ...]
    """((h_G, t_G), (h_D, t_D)) of each client, in the order of the devices."""
    latency_s: float
    """Predicted seconds of one iteration."""
    parts: dict[str, float]
    """Seconds of each phase, all its passes, by name (`generator_forward`, ...); their sum is `latency_s`."""
    lower_bound_s: float
    """No plan is faster than this: proven."""
    optimal: bool
    """Whether the bound proves, to one part in a million, that no plan is faster than this one."""
    solver: str
    """`exact`, `ga`, or `fixed` for cuts that were given."""
    seconds: float
    """Wall time of planning."""
    problem: Problem = field(repr=False, compare=False)
    """What was planned for."""

    @property
    def gap(self) -> float:
        """How much faster, at most, another plan could be, as a share of `latency_s`."""
        return (self.latency_s - self.lower_bound_s) / self.latency_s if self.latency_s else 0.0

    @cached_property
    def breakdown(self) -> Breakdown:
        """Every phase, client and block: when it computes, sends and waits."""
        return breakdown(self.problem, self.problem.choice_of(self.cuts))

    @cached_property
    def overlapped_s(self) -> float:
        """Predicted seconds from step to step of a run, where nobody waits between passes (`schedule`)."""
        return overlapped_seconds(self.problem, self.problem.choice_of(self.cuts))

    def to_json(self) -> dict[str, Any]:
        """The plan as plain lists, numbers and strings (a run's `cuts.json`); a client's seconds by activity."""
        clients = [
            {
                "client": client,
                "device": self.problem.clients[client].name,
                "generator": list(generator),
                "discriminator": list(discriminator),
                "seconds": self.breakdown.client_seconds(client),
            }
            for client, (generator, discriminator) in enumerate(self.cuts)
        ]
        return {
            "solver": self.solver,
            "latency_s": self.latency_s,
            "overlapped_s": self.overlapped_s,
            "parts": dict(self.parts),
            "lower_bound_s": self.lower_bound_s,
            "gap": self.gap,
            "optimal": self.optimal,
            "seconds": self.seconds,
            "clients": clients,
        }


def plan(
    *,
    generator: NetworkCost,
    discriminator: NetworkCost,
    devices: Sequence[Device],
    server: Server,
    solver: Solver = "exact",
    anchor: Anchor = 2,
    seed: int = 0,
    time_limit_s: float = 60.0,
    genetic: GeneticConfig | None = None,
) -> Plan:
    """Choose every client's cuts so that an iteration is as fast as possible.

    Args:
        generator, discriminator: costs for one client's minibatch.
        devices: one a client, repeats allowed.
        solver: `exact`, the proven optimum, or `ga`, a genetic algorithm.
        anchor: the block that every client leaves to the server; a pair (G's, D's) or None: no such block.
        seed, genetic: the genetic algorithm's; None: the default settings.
        time_limit_s: then the best found is returned, with what is proven by then.

    Raises:
        CutError: a number is not what it must be, or no valid cut fits a device (it says which, what it
            needs and what it has).
    """
    started_s = time.monotonic()
    if solver not in ("exact", "ga"):
        raise CutError("solver", repr(solver), "choose exact or ga")
    limit_s = positive("time_limit_s", time_limit_s)
    task = problem(generator, discriminator, devices, server, anchor)
    return _solved(task, started_s, solver, seed, limit_s, genetic or GeneticConfig())


def fixed_plan(
    cuts: Sequence[Cuts],
    *,
    generator: NetworkCost,
    discriminator: NetworkCost,
    devices: Sequence[Device],
    server: Server,
    anchor: Anchor = 2,
) -> Plan:
    """What given cuts, ((h_G, t_G), (h_D, t_D)) of each client, cost; the other arguments as for `plan`.

    Raises:
        CutError: as `plan`, or a cut is not valid, or breaks its device's limits.
    """
    started_s = time.monotonic()
    return _fixed(problem(generator, discriminator, devices, server, anchor), started_s, cuts)


def fleet(config: Config) -> list[Device]:
    """The clients' devices."""
    return [Device.from_profile(name, config.devices.profile(name)) for name in config.profiles]


def plan_config(
    config: Config,
    *,
    generator: NetworkCost,
    discriminator: NetworkCost,
    anchor: Anchor = 2,
    kept: Sequence[Cuts] | None = None,
) -> Plan:
    """The plan that a configuration asks for: its fleet, its server, its solver or its fixed cuts; errors as `plan`.

    Args:
        kept: the cuts of each client, where they were chosen before; None: choose them.
    """
    started_s, settings = time.monotonic(), config.cuts
    server = Server(config.devices.server.flops_per_s, config.devices.server.bytes_per_s)
    task = problem(generator, discriminator, fleet(config), server, anchor)
    if kept is None and settings.solver != "fixed":
        return _solved(task, started_s, settings.solver, config.seed, settings.time_limit_s, settings.ga)
    if kept is None:
        given = {name: (cut.generator, cut.discriminator) for name, cut in settings.fixed.items()}
        kept = [given.get(device.name, ((0, 0), (0, 0))) for device in task.clients]
    return _fixed(task, started_s, kept)


def _solved(
    task: Problem, started_s: float, solver: Solver, seed: int, limit_s: float, genetic: GeneticConfig
) -> Plan:
    if solver == "exact":
        solution = solve(task, limit_s)
        return _plan(task, solution.choice, solution.lower_bound_s, "exact", started_s)
    choice = evolve(task, genetic, np.random.default_rng(_seed(seed)), limit_s).choice
    bound_s = solve(task, min(limit_s, BOUND_LIMIT_S), relaxed=True).lower_bound_s
    return _plan(task, choice, bound_s, "ga", started_s)


def _fixed(task: Problem, started_s: float, cuts: Sequence[Cuts]) -> Plan:
    choice = task.choice_of(cuts)
    return _plan(task, choice, solve(task, BOUND_LIMIT_S, relaxed=True).lower_bound_s, "fixed", started_s)


def _plan(task: Problem, choice: Ints, bound_s: float, solver: str, started_s: float) -> Plan:
    """The latency is always that of the model for the chosen cuts, never what a solver believes."""
    latency_s = task.latency(choice)
    bound_s = min(bound_s, latency_s)
    return Plan(
        cuts=task.client_cuts(choice),
        latency_s=latency_s,
        parts=task.parts(choice),
        lower_bound_s=bound_s,
        optimal=latency_s - bound_s <= PROOF_GAP * latency_s,
        solver=solver,
        seconds=time.monotonic() - started_s,
        problem=task,
    )


def _seed(seed: Any) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise CutError("seed", repr(seed), "give a whole number >= 0")
    return seed
