"""Who is in the federation: every client with its data, device and cuts, and the actors that worker them.

A worker is one actor that holds one or several clients of one profile and one pair of cuts, so that all of
its clients enter and leave the body at the same stages.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from raygan.data import ClientSlice
from raygan.nn.spec import NetworkSpec
from raygan.simulation.emulation import Pace
from raygan.split.stages import Cut, Stage, body_blocks, head_blocks, merge_stages, tail_blocks
from raygan.wire.records import BlockKey, NetworkName, Shape


@dataclass(frozen=True)
class ClientPlan:
    """One client."""

    client: int
    domain: str
    profile: str
    data: ClientSlice
    generator_cut: Cut
    discriminator_cut: Cut

    def cut(self, network: NetworkName) -> Cut:
        """(h, t) of one network."""
        return self.generator_cut if network == "generator" else self.discriminator_cut


@dataclass(frozen=True)
class WorkerPlan:
    """One client actor."""

    worker: int
    clients: tuple[ClientPlan, ...]

    @property
    def profile(self) -> str:
        """The device profile of its clients."""
        return self.clients[0].profile

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the nodes that hold its clients' data."""
        return self.clients[0].data.domain.labels

    @property
    def ids(self) -> tuple[int, ...]:
        """The numbers of its clients."""
        return tuple(plan.client for plan in self.clients)

    @property
    def name(self) -> str:
        """What a person reads in the dashboard, such as `client-07 jetson_nano`."""
        ids = self.ids
        shown = [f"{number:02d}" for number in ids]
        if len(ids) > 4:
            shown = [*shown[:2], f"...{ids[-1]:02d}"]
        return f"client{'s' if len(ids) > 1 else ''}-{','.join(shown)} {self.profile}"


@dataclass(frozen=True)
class Layout:
    """The whole federation."""

    workers: tuple[WorkerPlan, ...]
    spec: NetworkSpec
    num_blocks: dict[NetworkName, int]
    anchors: dict[NetworkName, int]
    pace: Pace | None = None
    """How long everybody is to take; None: as long as they need."""
    output_shapes: Mapping[NetworkName, tuple[Shape, ...]] = field(default_factory=dict)
    """Shape of every block's output, without the batch axis. Empty: not known, and not checked on the wire."""
    state_shapes: Mapping[BlockKey, Mapping[str, Shape]] = field(default_factory=dict)
    """Shape of every parameter and buffer. Empty: as above."""

    @cached_property
    def clients(self) -> tuple[ClientPlan, ...]:
        """All clients in the order of their numbers."""
        return tuple(
            sorted((plan for worker in self.workers for plan in worker.clients), key=lambda plan: plan.client)
        )

    @cached_property
    def worker_of(self) -> dict[int, int]:
        """Client -> its worker."""
        return {client: worker.worker for worker in self.workers for client in worker.ids}

    @cached_property
    def stages(self) -> dict[NetworkName, list[Stage[int]]]:
        """The body's stages of each network, keyed by worker."""
        return {
            network: merge_stages(
                {worker.worker: worker.clients[0].cut(network) for worker in self.workers}, count
            )
            for network, count in self.num_blocks.items()
        }

    def output_shape(self, network: NetworkName, block: int) -> Shape | None:
        """Shape of a block's output, without the batch axis; None: not known."""
        shapes = self.output_shapes.get(network)
        return None if shapes is None else shapes[block]

    def held_blocks(self, plan: ClientPlan) -> tuple[BlockKey, ...]:
        """The blocks that a client holds."""
        keys: list[BlockKey] = []
        for network, count in self.num_blocks.items():
            cut = plan.cut(network)
            keys += [(network, block) for block in (*head_blocks(cut), *tail_blocks(cut, count))]
        return tuple(keys)

    @cached_property
    def body_held(self) -> tuple[BlockKey, ...]:
        """The blocks that the shared body holds: all that any client leaves to it."""
        keys: set[BlockKey] = set()
        for network, count in self.num_blocks.items():
            for plan in self.clients:
                keys |= {(network, block) for block in body_blocks(plan.cut(network), count)}
        return tuple(sorted(keys, reverse=True))

    @cached_property
    def all_blocks(self) -> tuple[BlockKey, ...]:
        """Every block of both networks, generator first."""
        return tuple((network, block) for network, count in self.num_blocks.items() for block in range(count))


def deal_to_workers(plans: Iterable[ClientPlan], clients_per_actor: int) -> tuple[WorkerPlan, ...]:
    """Deals clients to workers: those of equal site, profile and cuts together, at most `clients_per_actor` in one."""
    groups: dict[tuple, list[ClientPlan]] = {}
    for plan in plans:
        site = tuple(sorted(plan.data.domain.labels.items()))
        groups.setdefault((site, plan.profile, plan.generator_cut, plan.discriminator_cut), []).append(plan)
    parts = [
        tuple(group[start : start + clients_per_actor])
        for group in groups.values()
        for start in range(0, len(group), clients_per_actor)
    ]
    parts.sort(key=lambda part: part[0].client)
    return tuple(WorkerPlan(number, part) for number, part in enumerate(parts))
