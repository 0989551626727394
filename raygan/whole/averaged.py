"""Clients with both networks whole that give them away to be averaged, and take over the average."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from raygan.nn.network import block_state, load_block_state
from raygan.whole.clients import WholeClients
from raygan.wire.records import BlockAverage, Lost, State, num_bytes


class AveragedClients(WholeClients):
    """One or several clients. Their optimizers stay what they are."""

    def states(self) -> list[State]:
        """Parameters and buffers of each client's networks, and its number of images."""
        return [
            State(client.owner.num_held, {key: block_state(block) for key, block in client.blocks.items()})
            for client in self._clients.values()
        ]

    def load(self, clients: Collection[int], averages: Sequence[BlockAverage | Lost]) -> Lost | None:
        """These clients take over all blocks of the average, or none if one is lost."""
        blocks: list[BlockAverage] = []
        for average in averages:
            if isinstance(average, Lost):
                return average
            blocks.append(average)
        for client in clients:
            for block in blocks:
                load_block_state(self._clients[client].blocks[block.block], dict(block.state))
                self._traffic.add("aggregator", "client", "BlockAverage", num_bytes(block))
        return None
