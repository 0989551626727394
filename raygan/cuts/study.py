"""One planning of a fleet with everything there is to tell about it: what the command line prints.

study = plan_study(config, generator=g, discriminator=d, anchor=(2, 2))
study.profile_rows()        # the chosen cuts of every profile, with counts
study.phase_rows()          # the latency with its parts, and who decides each
study.comparison_rows()     # against all-server, all-client, one cut for all, the genetic algorithm
study.to_json()             # all of it, JSON-able
draw_timeline(study.plan, "timeline.png")       # raygan.cuts.timeline
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from raygan.config import Config
from raygan.cuts import baselines
from raygan.cuts.baselines import Baseline
from raygan.cuts.cost import Device, NetworkCost, Server
from raygan.cuts.cut import Anchor, Cuts
from raygan.cuts.planner import Plan, fixed_plan, plan


@dataclass(frozen=True)
class ProfileRow:
    """The clients of one profile with the same cuts."""

    profile: str
    num_clients: int
    generator: tuple[int, int]
    """(h, t) of the generator."""
    discriminator: tuple[int, int]
    """(h, t) of the discriminator."""
    busy_s: float
    """Seconds of an iteration that such a client computes and sends."""
    wait_s: float
    """Seconds of an iteration that it waits for the server or, through it, for others."""


@dataclass(frozen=True)
class PhaseRow:
    """One phase of the iteration."""

    phase: str
    repeats: int
    seconds: float
    """All its passes."""
    slowest: str
    """Who is done last: `paper_device_1 (client 0)`."""
    server_busy_s: float
    """Seconds that the server computes."""


@dataclass(frozen=True)
class ComparisonRow:
    """One way of choosing the cuts."""

    name: str
    """`exact`, `ga`, `fixed`, `uniform`, `all_server`, `all_client`."""
    latency_s: float
    times_planned: float
    """Its latency over the plan's."""
    allowed: bool
    """Whether all devices could really do it."""
    cuts: Cuts | None
    """The cuts that everyone has; None if they differ."""


@dataclass(frozen=True)
class Study:
    """A plan and what it is compared with."""

    plan: Plan
    compared: tuple[Baseline, ...]

    def profile_rows(self) -> list[ProfileRow]:
        """The chosen cuts of every profile, in the order in which profiles first appear."""
        rows = []
        names = [device.name for device in self.plan.problem.clients]
        counted = Counter(zip(names, self.plan.cuts, strict=True))
        first: dict[object, int] = {}
        for client, key in enumerate(zip(names, self.plan.cuts, strict=True)):
            first.setdefault(key, client)
        for (name, cuts), number in counted.items():
            spent = self.plan.breakdown.client_seconds(first[name, cuts])
            busy_s = sum(spent[activity] for activity in ("head", "up_link", "down_link", "tail"))
            rows.append(ProfileRow(name, number, cuts[0], cuts[1], busy_s, spent["wait"]))
        return rows

    def phase_rows(self) -> list[PhaseRow]:
        """The latency with its parts."""
        return [
            PhaseRow(
                phase=phase.name,
                repeats=phase.repeats,
                seconds=phase.seconds,
                slowest=self._client(phase.slowest),
                server_busy_s=phase.repeats * sum(block.end_s - block.start_s for block in phase.blocks),
            )
            for phase in self.plan.breakdown.phases
        ]

    def comparison_rows(self) -> list[ComparisonRow]:
        """The plan itself first, then the others from fast to slow."""
        planned_s = self.plan.latency_s
        rows = [ComparisonRow(self.plan.solver, planned_s, 1.0, True, None)]
        for other in sorted(self.compared, key=lambda baseline: baseline.latency_s):
            times = other.latency_s / planned_s if planned_s else 1.0
            rows.append(ComparisonRow(other.name, other.latency_s, times, other.allowed, other.cuts))
        return rows

    @property
    def slowest(self) -> str:
        """The client that decides the longest phase, as `profile (client number)`."""
        return self._client(self.plan.breakdown.slowest)

    def _client(self, client: int) -> str:
        return f"{self.plan.problem.clients[client].name} (client {client})"

    def to_json(self) -> dict[str, Any]:
        """`Plan.to_json` with the rows."""
        rows = {
            "profiles": [vars(row) for row in self.profile_rows()],
            "phases": [vars(row) for row in self.phase_rows()],
            "comparison": [vars(row) for row in self.comparison_rows()],
        }
        return {**self.plan.to_json(), "slowest": self.slowest, **rows}


def fleet(config: Config) -> list[Device]:
    """The clients' devices: the fleet's profiles, dealt to the clients in turn."""
    names = config.devices.fleet
    dealt = [names[client % len(names)] for client in range(config.num_clients)]
    return [Device.from_profile(name, config.devices.profile(name)) for name in dealt]


def plan_config(
    config: Config,
    *,
    generator: NetworkCost,
    discriminator: NetworkCost,
    anchor: Anchor = 2,
    kept: Sequence[Cuts] | None = None,
) -> Plan:
    """The plan that a configuration asks for: its fleet, its server, its solver or its fixed cuts.

    Args:
        kept: the cuts of each client, where they were chosen before; None: choose them.

    Raises:
        CutError: as `plan` and `fixed_plan`.
    """
    devices = fleet(config)
    server = Server(config.devices.server.flops_per_s, config.devices.server.bytes_per_s)
    if kept is None and config.cuts.solver != "fixed":
        return plan(
            generator=generator,
            discriminator=discriminator,
            devices=devices,
            server=server,
            anchor=anchor,
            solver=config.cuts.solver,
            seed=config.seed,
            time_limit_s=config.cuts.time_limit_s,
            genetic=config.cuts.ga,
        )
    return fixed_plan(
        _fixed(config, devices) if kept is None else kept,
        generator=generator,
        discriminator=discriminator,
        devices=devices,
        server=server,
        anchor=anchor,
    )


def _fixed(config: Config, devices: Sequence[Device]) -> list[Cuts]:
    """The cuts that the configuration gives for each device's profile."""
    given = {name: (cut.generator, cut.discriminator) for name, cut in config.cuts.fixed.items()}
    return [given.get(device.name, ((0, 0), (0, 0))) for device in devices]


def plan_study(
    config: Config, *, generator: NetworkCost, discriminator: NetworkCost, anchor: Anchor = 2
) -> Study:
    """Plan, and compare with the simpler choices (and with the genetic algorithm, unless it made the plan).

    Raises:
        CutError: as `plan_config`.
    """
    chosen = plan_config(config, generator=generator, discriminator=discriminator, anchor=anchor)
    task = chosen.problem
    compared = [baselines.best_uniform(task), baselines.all_server(task), baselines.all_client(task)]
    if chosen.solver != "ga":
        compared.append(baselines.genetic(task, config.cuts.ga, config.seed, config.cuts.time_limit_s))
    return Study(chosen, tuple(compared))
