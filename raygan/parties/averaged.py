"""Clients that give away networks to be averaged, and take over the average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Generic, Protocol, TypeVar

from raygan.nn.network import block_state, load_block_state
from raygan.parties.clients import HostedClient, HostedClients
from raygan.parties.masked import MaskedClient, MaskedClients
from raygan.wire.records import BlockAverage, Lost, State, num_bytes


class AveragedClient(HostedClient, MaskedClient, Protocol):
    """One client: it gives away its `blocks`, in order."""


AveragedT = TypeVar("AveragedT", bound=AveragedClient)


class AveragedClients(MaskedClients[AveragedT], HostedClients[AveragedT], Generic[AveragedT]):
    """One or several clients. Their optimizers stay what they are."""

    def states(self) -> list[State]:
        """Parameters and buffers of each client's networks, and its number of images."""
        return [
            State(client.owner.num_held, {key: block_state(block) for key, block in client.blocks.items()})
            for client in self._clients.values()
        ]

    def load(self, averages: Mapping[int, Sequence[BlockAverage | Lost]]) -> Lost | None:
        """Each client takes over all blocks of its average; nobody does if one is lost."""
        for average in chain.from_iterable(averages.values()):
            if isinstance(average, Lost):
                return average
        for client, blocks in averages.items():
            for block in blocks:
                assert isinstance(block, BlockAverage)
                if (readable := self._readable(block)) is not None:
                    load_block_state(self._clients[client].blocks[readable.block], readable.state)
                self._traffic.add("aggregator", "client", type(block).__name__, num_bytes(block))
        return None
