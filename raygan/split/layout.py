"""Where every client's networks are cut, and what each party therefore holds."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from raygan.cuts.cut import body_blocks, local_blocks
from raygan.names import BlockKey, Cut, NetworkName, Shape, with_averages, with_sealed
from raygan.parties import layout as parties
from raygan.simulation.emulation import Pace
from raygan.split.stages import Stage, merge_stages


@dataclass(frozen=True)
class ClientPlan(parties.ClientPlan):
    """One client and its cuts."""

    generator_cut: Cut
    discriminator_cut: Cut

    def cut(self, network: NetworkName) -> Cut:
        """(h, t) of one network."""
        return self.generator_cut if network == "generator" else self.discriminator_cut


WorkerPlan = parties.WorkerPlan[ClientPlan]
"""Its clients have one pair of cuts, so that all of them enter and leave the body at the same stages."""


@dataclass(frozen=True)
class Layout(parties.Layout[ClientPlan]):
    """The whole federation, and where its networks are cut."""

    num_blocks: dict[NetworkName, int]
    anchors: dict[NetworkName, int]
    output_shapes: Mapping[NetworkName, tuple[Shape, ...]]
    """Shape of every block's output, without the batch axis: what may cross at a cut."""
    state_shapes: Mapping[BlockKey, Mapping[str, Shape]]
    """Shape of every parameter and buffer of both networks' blocks."""
    pace: Pace | None = None
    """How long everybody is to take; None: as long as they need."""
    averaged: bool = False
    """Whether everybody keeps a moving average of its blocks of G: then these belong to all that is listed below."""
    hidden: bool = False
    """Whether D's blocks on clients are sealed to all others: then they have keys of their own."""
    replicas: int = 1
    """Of the body; no more than workers."""
    borders: Mapping[NetworkName, tuple[int, ...]] = field(default_factory=dict)
    """The blocks with which the next section of the body begins (`raygan.split.pipeline`); empty: it is whole."""

    @cached_property
    def stages(self) -> dict[NetworkName, list[Stage[int]]]:
        """The body's stages of each network, keyed by worker; none is in two sections."""
        return {
            network: merge_stages(
                {worker.worker: worker.clients[0].cut(network) for worker in self.workers},
                count,
                self.borders.get(network, ()),
            )
            for network, count in self.num_blocks.items()
        }

    @property
    def sections(self) -> int:
        """In which the body's blocks are held by one actor each."""
        return 1 + max(map(len, self.borders.values()), default=0)

    def section_of(self, network: NetworkName, block: int) -> int:
        """The section that holds a block of the body."""
        return bisect_right(self.borders.get(network, ()), block)

    @cached_property
    def stages_in(self) -> Mapping[tuple[NetworkName, int], tuple[int, ...]]:
        """Network and section -> its stages' places in `stages`, front to back."""
        return {
            (network, section): tuple(
                index for index, stage in enumerate(stages) if self.section_of(network, stage.blocks.start) == section
            )
            for network, stages in self.stages.items()
            for section in range(self.sections)
        }

    def held_by(self, section: int) -> tuple[BlockKey, ...]:
        """Of the blocks that the body holds, those of one section."""
        return tuple(key for key in self.body_held if self.section_of(_trained(key), key[1]) == section)

    @cached_property
    def replica_of(self) -> dict[int, int]:
        """Worker -> the replica of the body that serves it: those of equal cuts are dealt evenly, then all clients."""
        alike: Counter[tuple[int, tuple[Cut, Cut]]] = Counter()
        load: Counter[int] = Counter()
        found = {}
        for worker in self.workers:
            cuts = (worker.clients[0].generator_cut, worker.clients[0].discriminator_cut)
            _, _, chosen = min((alike[replica, cuts], load[replica], replica) for replica in range(self.replicas))
            alike[chosen, cuts] += len(worker.clients)
            load[chosen] += len(worker.clients)
            found[worker.worker] = chosen
        return found

    def stages_of(self, replica: int) -> dict[NetworkName, list[Stage[int]]]:
        """The body's stages with the workers of one replica: all replicas have all stages."""

        def of_replica(workers: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(worker for worker in workers if self.replica_of[worker] == replica)

        return {
            network: [replace(s, entering=of_replica(s.entering), leaving=of_replica(s.leaving)) for s in stages]
            for network, stages in self.stages.items()
        }

    def held_blocks(self, plan: ClientPlan) -> tuple[BlockKey, ...]:
        """The blocks that a client holds."""
        own = (
            (network, block)
            for network, count in self.num_blocks.items()
            for block in local_blocks(plan.cut(network), count)
        )
        return with_sealed(with_averages(own, self.averaged), self.hidden)

    @cached_property
    def body_held(self) -> tuple[BlockKey, ...]:
        """The blocks that the shared body holds: all that any client leaves to it."""
        keys: set[BlockKey] = set()
        for network, count in self.num_blocks.items():
            for plan in self.clients:
                keys |= {(network, block) for block in body_blocks(plan.cut(network), count)}
        return with_averages(sorted(keys, reverse=True), self.averaged)

    @cached_property
    def all_blocks(self) -> tuple[BlockKey, ...]:
        """Every block of both networks, generator first; of a hidden D those of the body, and the sealed ones."""
        own = [(network, block) for network, count in self.num_blocks.items() for block in range(count)]
        keys = with_averages(own, self.averaged)
        if not self.hidden:
            return keys
        sealed = {key for plan in self.clients for key in self.held_blocks(plan) if key[0] == "sealed"}
        return (*(key for key in keys if key[0] != "discriminator" or key in self.body_held), *sorted(sealed))


def _trained(key: BlockKey) -> NetworkName:
    """The network of a block, or of the block whose average it is."""
    owner = key[0]
    assert owner != "sealed", "a body holds nothing that is sealed"
    return "generator" if owner == "average" else owner


def deal_to_workers(plans: Iterable[ClientPlan], clients_per_actor: int) -> tuple[WorkerPlan, ...]:
    """Deals clients to workers: those of equal site, profile and cuts together, at most `clients_per_actor` in one."""
    return parties.deal_to_workers(plans, clients_per_actor, lambda plan: (plan.generator_cut, plan.discriminator_cut))
