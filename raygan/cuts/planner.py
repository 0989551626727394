"""Choosing the cuts: the planner's front door, and a plan beside simpler choices, as the command line prints it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, Literal

import numpy as np

from raygan.config.schema import Config, GeneticConfig
from raygan.cuts.cost import Device, NetworkCost, Server, number
from raygan.cuts.cut import Anchor, local_blocks
from raygan.cuts.exact import PROOF_GAP, solve
from raygan.cuts.genetic import evolve
from raygan.cuts.latency import Bools, Ints
from raygan.cuts.leakage import Bound, Leakage, bound_of
from raygan.cuts.problem import Problem, problem
from raygan.cuts.schedule import Breakdown, breakdown, overlapped_seconds, pipelined_seconds
from raygan.errors import CutError
from raygan.names import Cut, Cuts, NetworkName, Objective

Solver = Literal["exact", "ga"]
MEGA = 1e6
BOUND_LIMIT_S = 10.0  # longest time for the bound of a plan that no exact solver made


@dataclass(frozen=True)
class Plan:
    """The cuts of every client and what they cost."""

    cuts: tuple[Cuts, ...]
    """((h_G, t_G), (h_D, t_D)) of each client, in the order of the devices."""
    latency_s: float
    """Predicted seconds of one iteration."""
    bytes: float
    """Bytes of one iteration, of all clients together, up and down."""
    least_bytes: float
    """No plan moves fewer."""
    parts: dict[str, float]
    """Seconds of each phase, all its passes, by name (`generator_forward`, ...); their sum is `latency_s`."""
    lower_bound_s: float
    """No plan has a lower `value_s`: proven. Where the objective is bytes: none of those that move the fewest."""
    optimal: bool
    """Whether the bounds prove, to one part in a million, that no plan is better than this one."""
    solver: str
    """`exact`, `ga`, or `fixed` for cuts that were given."""
    seconds: float
    """Wall time of planning."""
    problem: Problem = field(repr=False, compare=False)
    """What was planned for."""
    objective: Objective = "latency"
    """What was minimised."""

    @property
    def value_s(self) -> float:
        """The latency and, where the objective is `weighted`, what the bytes count, seconds."""
        return self.latency_s + self.problem.seconds_a_byte * self.bytes

    @property
    def gap(self) -> float:
        """How much better, at most, another plan could be: as a share of `value_s`, or of the bytes where they are the
        objective and not the fewest."""
        if self.objective == "bytes" and self.bytes > self.least_bytes:
            return (self.bytes - self.least_bytes) / self.bytes
        return max(0.0, self.value_s - self.lower_bound_s) / self.value_s if self.value_s else 0.0

    @cached_property
    def breakdown(self) -> Breakdown:
        """Every phase, client and block: when it computes, sends and waits."""
        return breakdown(self.problem, self.problem.choice_of(self.cuts))

    @cached_property
    def overlapped_s(self) -> float:
        """Predicted seconds from step to step of a run, where nobody waits between passes (`schedule`)."""
        return overlapped_seconds(self.problem, self.problem.choice_of(self.cuts))

    def pipelined_s(self, borders: Mapping[NetworkName, Sequence[int]]) -> float:
        """The same where the body is in sections (`schedule.pipelined_seconds`)."""
        return pipelined_seconds(self.problem, self.problem.choice_of(self.cuts), borders)

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
            "objective": self.objective,
            "latency_s": self.latency_s,
            "bytes": self.bytes,
            "least_bytes": self.least_bytes,
            "value_s": self.value_s,
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
    cuts: Sequence[Cuts] | None = None,
    bound: Bound | None = None,
    objective: Objective = "latency",
    seconds_per_mb: float = 0.0,
) -> Plan:
    """Choose every client's cuts so that an iteration is as fast as possible, or moves as few bytes.

    Args:
        generator, discriminator: costs for one client's minibatch.
        devices: one a client, repeats allowed.
        solver: `exact`, the proven optimum, or `ga`, a genetic algorithm.
        anchor: the block that every client leaves to the server; a pair (G's, D's) or None: no such block.
        seed, genetic: the genetic algorithm's; None: the default settings.
        time_limit_s: then the best found is returned, with what is proven by then.
        cuts: given ones, ((h_G, t_G), (h_D, t_D)) of each client, of which to tell what they cost; None: choose.
        bound: how much cuts may tell; None: anything.
        objective: `latency`, seconds; `bytes`, the fewest of all clients together and then the fastest of these plans; or
            `weighted`, seconds and `seconds_per_mb` for each million bytes.

    Raises:
        CutError: a number is not what it must be, a given cut is not valid or breaks its device's limits, or no
            valid cut fits a device (it says which, what it needs and what it has).
    """
    started_s = time.monotonic()
    if solver not in ("exact", "ga"):
        raise CutError("solver", repr(solver), "choose exact or ga")
    limit_s = number("time_limit_s", time_limit_s)
    price_s = number("seconds_per_mb", seconds_per_mb, ">= 0") / MEGA if objective == "weighted" else 0.0
    task = problem(generator, discriminator, devices, server, anchor, bound, price_s)
    is_exact = cuts is None and solver == "exact"
    thrifty, least_bytes = with_fewest_bytes(task)
    if objective == "bytes" and cuts is None:
        task = thrifty
    if cuts is not None:
        choice = task.choice_of(cuts)
    elif solver == "ga":
        rng = np.random.default_rng(_seed(seed))
        choice = evolve(task, genetic or GeneticConfig(), rng, limit_s).choice
    considered = thrifty if objective == "bytes" else task
    solution = solve(considered, limit_s if is_exact else min(limit_s, BOUND_LIMIT_S), relaxed=not is_exact)
    if is_exact:
        choice = solution.choice
    latency_s, moved_bytes = task.latency(choice), task.bytes(choice)  # never what a solver believes
    if math.isclose(moved_bytes, least_bytes, rel_tol=1e-12):  # the same sum, in another order
        least_bytes = moved_bytes
    few_enough = objective != "bytes" or moved_bytes <= least_bytes
    value_s = task.value(choice)
    bound_s = min(solution.lower_bound_s, value_s)
    return Plan(
        cuts=task.client_cuts(choice),
        latency_s=latency_s,
        bytes=moved_bytes,
        least_bytes=least_bytes,
        parts=task.parts(choice),
        lower_bound_s=bound_s,
        optimal=few_enough and value_s - bound_s <= PROOF_GAP * value_s,
        solver=solver if cuts is None else "fixed",
        seconds=time.monotonic() - started_s,
        problem=task,
        objective=objective,
    )


def with_fewest_bytes(task: Problem) -> tuple[Problem, float]:
    """The problem in which every client may only have cuts that move the fewest bytes, and how many that are in all."""
    moved = np.where(task.allowed, np.add.outer(*task.bytes_of), np.inf)
    least = moved.min(axis=(1, 2))
    fewest = replace(task, allowed=moved <= least[:, None, None], seconds_a_byte=0.0)
    return fewest, float(task.sizes @ least)


def fleet_of(config: Config) -> tuple[list[Device], Server]:
    """The device of each client [K], and the server."""
    devices = [Device.from_profile(name, config.devices.profile(name)) for name in config.profiles]
    server = config.devices.server
    return devices, Server(server.flops_per_s, server.bytes_per_s, config.ray.body_replicas, server.exchange_s)


def plan_config(
    config: Config,
    *,
    generator: NetworkCost,
    discriminator: NetworkCost,
    anchor: Anchor = 2,
    kept: Sequence[Cuts] | None = None,
    leakage: Leakage | None = None,
    least_heads: Sequence[int] = (),
) -> Plan:
    """The plan that a configuration asks for: its fleet, its server, its solver or its fixed cuts; errors as `plan` and
    `bound_of`.

    Args:
        kept: the cuts of each client, where they were chosen before, under the bounds of then; None: choose them.
        leakage: how much each cut tells; None: as `cuts.leakage` has it.
        least_heads: h of each client's head of D at least, of cuts that are chosen; empty: any.
    """
    settings = config.cuts
    devices, server = fleet_of(config)
    if kept is None and settings.solver != "fixed" and least_heads:
        devices = [
            replace(device, local_blocks=((), tuple(range(least + 1)))) if least else device
            for device, least in zip(devices, least_heads, strict=True)
        ]
    bound = bound_of(settings, leakage) if kept is None else None
    if kept is None and settings.solver == "fixed":
        given = {name: (cut.generator, cut.discriminator) for name, cut in settings.fixed.items()}
        kept = [given.get(name, ((0, 0), (0, 0))) for name in config.profiles]
    return plan(
        generator=generator,
        discriminator=discriminator,
        devices=devices,
        server=server,
        solver="exact" if settings.solver == "fixed" else settings.solver,
        anchor=anchor,
        seed=config.seed,
        time_limit_s=settings.time_limit_s,
        genetic=settings.ga,
        cuts=kept,
        bound=bound,
        objective=settings.objective,
        seconds_per_mb=settings.seconds_per_mb,
    )


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
    up_bytes: float
    """Bytes of an iteration that it sends; it receives as many: each gradient has the size of its activation."""


@dataclass(frozen=True)
class Baseline:
    """One way of choosing the cuts, beside the plan."""

    name: str
    """`uniform`, `all_server`, `all_client`, `ga` or `unbounded`; of the plan itself `exact`, `ga` or `fixed`."""
    latency_s: float
    """Predicted seconds of one iteration."""
    times_planned: float
    """Its latency over the plan's."""
    bytes: float
    """Of one iteration, of all clients together, up and down."""
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
        of, task = self.plan.breakdown, self.plan.problem
        choice = task.choice_of(self.plan.cuts)
        return [
            ProfileRow(
                name,
                len(members),
                *cuts,
                of.busy_s(members[0]),
                of.client_seconds(members[0])["wait"],
                task.bytes(choice[members[:1]]) / 2,
            )
            for (name, cuts), members in alike.items()
        ]

    def comparison_rows(self) -> list[Baseline]:
        """The plan itself first, then the others from fast to slow."""
        planned = Baseline(self.plan.solver, self.plan.latency_s, 1.0, self.plan.bytes, True)
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
    config: Config,
    *,
    generator: NetworkCost,
    discriminator: NetworkCost,
    anchor: Anchor = 2,
    leakage: Leakage | None = None,
    least_heads: Sequence[int] = (),
) -> Study:
    """Plan, and compare with the simpler choices (and with the genetic algorithm, unless it made the plan), and with what
    the solver would choose if cuts might tell anything; arguments and errors as `plan_config`."""
    planned = partial(plan_config, generator=generator, discriminator=discriminator, anchor=anchor)
    chosen = planned(config, leakage=leakage, least_heads=least_heads)
    compared = uniform_choices(chosen)
    if config.cuts.max_leakage is not None and chosen.solver != "fixed":
        free = config.model_copy(update={"cuts": config.cuts.model_copy(update={"max_leakage": None})})
        other = planned(free, least_heads=least_heads)
        times = other.latency_s / chosen.latency_s
        compared.append(Baseline("unbounded", other.latency_s, times, other.bytes, False))
    if chosen.solver != "ga":
        rng = np.random.default_rng(config.seed)
        evolved = evolve(chosen.problem, config.cuts.ga, rng, config.cuts.time_limit_s)
        compared.append(_measured(chosen, "ga", evolved.choice, allowed=True))
    return Study(chosen, tuple(compared))


def uniform_choices(chosen: Plan) -> list[Baseline]:
    """Plans in which everyone has the same cuts: `uniform`, the best that all can have (if there is none, the best
    without limits); `all_server`, nothing extra; `all_client`, as much computation as valid cuts permit."""
    task = chosen.problem
    seconds = task.uniform_seconds()
    allowed: Bools = np.logical_and.reduce(task.allowed)
    best = np.where(allowed, seconds, np.inf) if allowed.any() else seconds
    largest = []
    for cost, cuts in zip(task.costs, task.cuts, strict=True):
        work = np.array(cost.forward_flops) + np.array(cost.backward_flops)
        largest.append(np.argmax([work[list(local_blocks(cut, cost.num_blocks))].sum() for cut in cuts]))
    found = []
    for name, pair in (
        ("uniform", np.unravel_index(best.argmin(), best.shape)),
        ("all_server", (0, 0)),
        ("all_client", tuple(largest)),
    ):
        choice = np.tile(np.array(pair, dtype=np.int64), (len(task.clients), 1))
        found.append(_measured(chosen, name, choice, bool(allowed[pair]), task.client_cuts(choice[:1])[0]))
    return found


def _measured(chosen: Plan, name: str, choice: Ints, allowed: bool, cuts: Cuts | None = None) -> Baseline:
    latency_s = chosen.problem.latency(choice)
    times = latency_s / chosen.latency_s if chosen.latency_s else 1.0
    return Baseline(name, latency_s, times, chosen.problem.bytes(choice), allowed, cuts)


def _seed(seed: Any) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise CutError("seed", repr(seed), "give a whole number >= 0")
    return seed
