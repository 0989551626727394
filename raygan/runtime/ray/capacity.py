"""Whether a cluster has, or its autoscaler may start, nodes for all actors, and what to say where it does not.

An actor needs one node that has its resources and labels: sums over nodes are not enough. Actors are put on nodes first
fit, those first that few nodes can take; then nodes are added while the autoscaler's limits allow it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from raygan.errors import InputError
from raygan.runtime.ray.demand import ActorDemand, label_text


@dataclass(frozen=True)
class Node:
    """A live node."""

    total: Mapping[str, float]
    free: Mapping[str, float]
    labels: Mapping[str, str]
    node_type: str = ""
    """The autoscaler's name of its type; empty where there is none."""


@dataclass(frozen=True)
class NodeType:
    """A kind of node that the autoscaler may start."""

    name: str
    resources: Mapping[str, float]
    labels: Mapping[str, str]
    max_workers: int


@dataclass(frozen=True)
class Autoscaler:
    """What the autoscaler may do."""

    node_types: tuple[NodeType, ...]
    max_workers: int
    """Nodes beside the head, of all types together."""

    def startable(self, nodes: Sequence[Node]) -> tuple[dict[str, int], int]:
        """Nodes of each type that it may still start, and of all types together."""
        alive = Counter(node.node_type for node in nodes)
        by_type = {kind.name: max(0, kind.max_workers - alive[kind.name]) for kind in self.node_types}
        num_workers = sum(alive[kind.name] for kind in self.node_types if kind.max_workers)
        return by_type, max(0, self.max_workers - num_workers)


@dataclass
class Placement:
    """Where the actors would go."""

    unplaced: list[ActorDemand] = field(default_factory=list)
    started: Counter[str] = field(default_factory=Counter)
    """Node type -> nodes that the autoscaler would start."""


def place(
    demands: Iterable[ActorDemand],
    nodes: Sequence[Node],
    autoscaler: Autoscaler | None = None,
    only_free: bool = False,
) -> Placement:
    """Puts actors on nodes.

    Args:
        nodes: the live ones.
        autoscaler: None: no node is added.
        only_free: count what others use on the nodes as gone.
    """
    left = [(dict(node.free if only_free else node.total), node.labels) for node in nodes]
    startable, num_startable = autoscaler.startable(nodes) if autoscaler else ({}, 0)
    placement = Placement()
    types = autoscaler.node_types if autoscaler else ()
    known = [*left, *((kind.resources, kind.labels) for kind in types)]

    def rarity(demand: ActorDemand) -> tuple[int, float]:
        return sum(_fits(demand, *node) for node in known), -sum(demand.bundle.values())

    for demand in sorted(demands, key=rarity):
        chosen = next((node for node in left if _fits(demand, *node)), None)
        if chosen is None and num_startable:
            kinds = [k for k in types if startable[k.name] and _fits(demand, k.resources, k.labels)]
            if kinds:
                kind = min(kinds, key=lambda kind: len(kind.resources))
                startable[kind.name] -= 1
                num_startable -= 1
                placement.started[kind.name] += 1
                left.append(chosen := (dict(kind.resources), kind.labels))
        if chosen is None:
            placement.unplaced.append(demand)
            continue
        for name, amount in demand.bundle.items():
            chosen[0][name] -= amount
    return placement


def shortage(
    missing: ActorDemand,
    demands: Iterable[ActorDemand],
    nodes: Sequence[Node],
    autoscaler: Autoscaler | None = None,
) -> InputError:
    """What a user reads of an actor that has no place: whose, which resource, needed, available, remedy.

    Args:
        missing: the actor.
        demands: those of the whole run; the ones of its kind are counted with it.
        nodes: the live ones.
        autoscaler: None: there is none, or its limits are not known.
    """
    kind = [d for d in demands if (d.kind, d.labels) == (missing.kind, missing.labels)]
    offers = [(node.total, node.labels) for node in nodes]
    if autoscaler:
        by_type, num = autoscaler.startable(nodes)
        offers += [(k.resources, k.labels) for k in autoscaler.node_types for _ in range(min(by_type[k.name], num))]
    fitting = [resources for resources, labels in offers if labels_fit(missing.labels, labels)]
    labelled = f" on nodes labelled {label_text(missing.labels)}" if missing.labels else ""
    if not fitting:
        return _error(missing, f"needs a node labelled {label_text(missing.labels)}, there is none", autoscaler)
    for name, amount in missing.bundle.items():
        most = max(resources.get(name, 0.0) for resources in fitting)
        if 0 < most < amount:
            found = f"one actor needs {amount:g} {name!r} on one node{labelled}, the largest has {most:g}"
            return _error(missing, found, autoscaler, name)
    name = _scarcest(missing, kind, fitting)
    needed = sum(demand.bundle.get(name, 0.0) for demand in kind)
    matching = [node for node in nodes if labels_fit(missing.labels, node.labels)]
    there = sum(node.total.get(name, 0.0) for node in matching)
    free = sum(node.free.get(name, 0.0) for node in matching)
    found = f"needs {needed:g} {name!r}{labelled}, the cluster has {there:g}"
    if free < there:
        found += f" ({free:g} free)"
    if autoscaler:
        more = sum(resources.get(name, 0.0) for resources in fitting) - there
        found += f", its autoscaler may add {more:g}"
    return _error(missing, found, autoscaler, name)


def labels_fit(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a node's labels satisfy a selector in Ray's form: `value`, `!value`, `in(a, b)` or `!in(a, b)`."""
    return all(_label_fits(wanted, labels.get(name)) for name, wanted in selector.items())


def _label_fits(wanted: str, value: str | None) -> bool:
    negated, text = wanted.startswith("!"), wanted.removeprefix("!")
    if text.startswith("in(") and text.endswith(")"):
        among = value in [part.strip() for part in text[3:-1].split(",")]
    else:
        among = value == text
    return among != negated


def _fits(demand: ActorDemand, resources: Mapping[str, float], labels: Mapping[str, str]) -> bool:
    enough = all(resources.get(name, 0.0) >= amount - 1e-9 for name, amount in demand.bundle.items())
    return enough and labels_fit(demand.labels, labels)


def _scarcest(missing: ActorDemand, kind: Sequence[ActorDemand], offers: Sequence[Mapping[str, float]]) -> str:
    """The resource of which the actors of a kind lack most, by share."""

    def share(name: str) -> float:
        needed = sum(demand.bundle.get(name, 0.0) for demand in kind)
        return sum(resources.get(name, 0.0) for resources in offers) / needed

    return min(missing.bundle, key=share)


def _error(missing: ActorDemand, found: str, autoscaler: Autoscaler | None, name: str = "") -> InputError:
    verb = "declares" if autoscaler else "declare"
    what = f"that {verb} {name!r}" if name else f"labelled {label_text(missing.labels)}"
    add = "raise max_workers of a node type" if autoscaler else "add nodes"
    if name in ("CPU", "memory") and not missing.resources:
        remedy = f"add nodes with more of it, or lower {'num_cpus of its profile or ' if missing.profile else ''}"
        key = {"CPU": "ray.cpus_per_actor", "memory": "ray.memory_per_actor"}[name]
        return InputError(missing.kind, found, remedy + key)
    key = "devices.fleet" if missing.profile else "ray.address"
    return InputError(missing.kind, found, f"{add} {what}, or change {key}")
