"""What actors are placed by: the devices that a cluster's nodes declare or, on a Ray that knows nothing of devices, CPUs
and memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import ray
from ray.util.placement_group import get_current_placement_group

from raygan.config.devices import SERVER_RESOURCE
from raygan.config.schema import Config
from raygan.parties.spec import Parties
from raygan.runtime.ray.capacity import Autoscaler, Node, place
from raygan.runtime.ray.demand import MEMORY_BYTES, all_demands
from raygan.runtime.ray.nodes import find_autoscaler, live_nodes

CPU_SHARES = (1.0, 0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.0)
"""CPUs that an actor asks for: the first that leaves room for all, as Ray counts; threads share cores beyond that."""


@dataclass(frozen=True)
class Offers:
    """Where actors may go."""

    nodes: Sequence[Node]
    autoscaler: Autoscaler | None

    def declares_any(self, names: set[str]) -> bool:
        """Whether any of these resources is declared by a node, or by a kind of node that may be started."""
        kinds = () if self.autoscaler is None else self.autoscaler.node_types
        declared = [*(node.total for node in self.nodes), *(kind.resources for kind in kinds)]
        return any(names & resources.keys() for resources in declared)


def chosen(config: Config, tell: Callable[[str], None] = lambda _: None) -> Config:
    """The same configuration with `ray.placement` decided, on the Ray that this process has joined.

    Args:
        tell: is given a line where devices do not count because nobody declares any.
    """
    if config.ray.placement != "auto":
        return config
    if config.ray.wait_for_nodes_s:
        return _with(config, placement="devices")
    names = device_resources(config)
    if offers().declares_any(names):
        return _with(config, placement="devices")
    listed = ", ".join([*sorted(names - {SERVER_RESOURCE}), SERVER_RESOURCE])
    tell(f"no node declares any of {listed}: actors are placed by CPUs and memory (ray.placement)")
    return _with(config, placement="cpus")


def shared(parties: Parties, config: Config) -> Config:
    """The same configuration; where actors are placed by CPUs, with as many, and as much memory, for each as leaves room
    for all."""
    if config.ray.placement != "cpus":
        return config
    found = offers()
    first, *_ = wanted = [_with(config, cpus_per_actor=c, memory_per_actor=m) for c, m in _asked(config)]
    asked = [all_demands(parties, tried) for tried in wanted]
    for tried, demands in zip(wanted, asked, strict=True):
        if (tried is first or tried.ray.cpus_per_actor) and not place(demands, found.nodes, only_free=True).unplaced:
            return tried
        if tried is first and found.autoscaler and not place(demands, found.nodes, found.autoscaler).unplaced:
            return tried
    for tried, demands in zip(wanted, asked, strict=True):  # others use what there is: it is waited for
        if not place(demands, found.nodes).unplaced:
            return tried
    return first


def _asked(config: Config) -> Iterator[tuple[float, int]]:
    """CPUs and bytes of an actor, the best first; what the configuration names is taken as it is."""
    cpus, memory = config.ray.cpus_per_actor, config.ray.memory_per_actor
    for bytes_ in (MEMORY_BYTES, 0) if memory == "auto" else (memory,):
        for share in [share for share in CPU_SHARES if share] if cpus == "auto" else (cpus,):
            yield share, bytes_
    if cpus == "auto":
        yield 0.0, 0 if memory == "auto" else memory


def device_resources(config: Config) -> set[str]:
    """The custom resources that stand for devices: those of the fleet's profiles, and the body's."""
    profiles = [config.devices.profile(name) for name in config.devices.fleet]
    return {SERVER_RESOURCE, *(name for profile in profiles for name in profile.resources)}


def offers() -> Offers:
    """The nodes of the Ray that this process has joined; inside a placement group its bundles, without what this process
    itself has of them."""
    group = get_current_placement_group()
    if group is None:
        return Offers(live_nodes(), find_autoscaler())
    bundles = [dict(bundle) for bundle in group.bundle_specs]
    mine = ray.get_runtime_context().get_assigned_resources()
    here = next((b for b in bundles if all(b.get(name, 0) >= amount for name, amount in mine.items())), None)
    for name, amount in mine.items() if here else ():
        here[name] -= amount  # type: ignore[index]
    return Offers([Node(bundle, bundle, {}) for bundle in bundles], None)


def _with(config: Config, **changes: object) -> Config:
    return config.model_copy(update={"ray": config.ray.model_copy(update=changes)})
