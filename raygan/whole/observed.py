"""Clients with both networks whole whose anchor activations are clustered."""

from __future__ import annotations

from collections.abc import Collection

from raygan.whole.averaged import AveragedWholeClients
from raygan.wire.records import AnchorMap, Lost


class ObservedClients(AveragedWholeClients):
    """One or several clients. Each looks at its own discriminator's anchor block while that is trained."""

    sends = AveragedWholeClients.sends | {AnchorMap}

    def begin_round(self, round_number: int, clients: Collection[int] | None = None) -> None:
        """Prepares the minibatches of a round, and forgets the activations of the last one."""
        super().begin_round(round_number, clients)
        for client in self._clients.values():
            client.networks.discriminator.observe(self._config.clusters.feature_batches)

    def anchor_maps(self) -> list[AnchorMap | Lost]:
        """The batch mean of each client's anchor activation; `Lost` where it took no part in the round."""
        maps = {number: client.networks.discriminator.anchor_map for number, client in self._clients.items()}
        return [
            Lost("took no part in the round", "unfit") if one is None else AnchorMap(number, one)
            for number, one in maps.items()
        ]
