"""What every actor asks Ray for: resources are the hardware model, labels say where a site's data is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from raygan.config.schema import Config
from raygan.parties.spec import Parties
from raygan.simulation.device import gpu_shares

MEMORY_BYTES = 512 * 2**20
"""About what a client's or the body's process holds (raygan/docs/measurements.md, "Memory")."""


@dataclass(frozen=True)
class ActorDemand:
    """What one actor asks Ray for."""

    name: str
    num_cpus: float = 0
    num_gpus: float = 0
    resources: Mapping[str, float] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    profile: str | None = None
    """The device profile of its clients; None: it has none."""
    memory: int = 0
    """Bytes."""

    @property
    def kind(self) -> str:
        """Whose demand it is, as an error names it."""
        return f"profile {self.profile!r}" if self.profile else f"actor {self.name!r}"

    @property
    def bundle(self) -> dict[str, float]:
        """What it takes of its node, by resource."""
        amounts = {"CPU": self.num_cpus, "GPU": self.num_gpus, "memory": self.memory, **self.resources}
        return {name: amount for name, amount in amounts.items() if amount}

    def options(self) -> dict[str, Any]:
        """As arguments of `ActorClass.options`."""
        options: dict[str, Any] = {"name": self.name, "num_cpus": self.num_cpus, "num_gpus": self.num_gpus}
        if self.memory:
            options["memory"] = self.memory
        if self.resources:
            options["resources"] = dict(self.resources)
        if self.labels:
            options["label_selector"] = dict(self.labels)
        return options


def demands(parties: Parties, config: Config) -> dict[str, list[ActorDemand]]:
    """Every actor of a run by role. Aggregators come with the models: those are listed that are known to be needed."""
    layout, clients = parties.layout, []
    profiles = [worker.profile for worker in layout.workers]
    server_gpus, client_gpus = gpu_shares(config, profiles, len(parties.servers))
    for worker, num_gpus in zip(layout.workers, client_gpus, strict=True):
        profile = config.devices.profile(worker.profile)
        amount = {name: value * len(worker.clients) for name, value in profile.resources.items()}
        labels = {**profile.labels, **worker.labels}
        demand = ActorDemand(worker.name, profile.num_cpus, num_gpus, amount, labels, worker.profile)
        clients.append(_by_cpus(demand, config))
    labelled = [labels for index in config.data.held if (labels := config.data.domains[index].labels)]
    sites = [labels for number, labels in enumerate(labelled) if labels not in labelled[:number]]
    at_sites = [ActorDemand(f"evaluator {label_text(labels)}", labels=labels) for labels in sites]
    return {
        "client": clients,
        "server": [_by_cpus(ActorDemand(s.name, 0, server_gpus, s.resources), config) for s in parties.servers],
        "aggregator": [ActorDemand(f"aggregator-{number}") for number in range(parties.num_aggregators)],
        "evaluator": [ActorDemand("evaluator"), *at_sites],
    }


def _by_cpus(demand: ActorDemand, config: Config) -> ActorDemand:
    """The demand as it is or, where `ray.placement` is `cpus`, with CPUs and memory in place of devices."""
    if config.ray.placement != "cpus":
        return demand
    cpus, memory = config.ray.cpus_per_actor, config.ray.memory_per_actor
    return replace(
        demand,
        num_cpus=demand.num_cpus or (1 if cpus == "auto" else cpus),
        memory=MEMORY_BYTES if memory == "auto" else memory,
        resources={},
    )


def domains_of(config: Config, labels: Mapping[str, str]) -> tuple[int, ...]:
    """The domains (by index) that are kept where these labels are; none: those that every node can read."""
    return tuple(index for index in config.data.held if config.data.domains[index].labels == labels)


def label_text(labels: Mapping[str, str]) -> str:
    """`site=a, floor=2`."""
    return ", ".join(f"{name}={value}" for name, value in labels.items())


def all_demands(parties: Parties, config: Config) -> list[ActorDemand]:
    """The same in one list."""
    return [demand for role in demands(parties, config).values() for demand in role]


def required(parties: Parties, config: Config) -> dict[str, float]:
    """The sum of what the actors ask for, by resource."""
    total: dict[str, float] = {}
    for demand in all_demands(parties, config):
        for name, amount in demand.bundle.items():
            total[name] = total.get(name, 0.0) + amount
    return total
