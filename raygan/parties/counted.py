"""Clients that tell how many images of each class they hold."""

from __future__ import annotations

from typing import Generic

from raygan.parties.clients import HostedClients, HostedT
from raygan.wire.records import ClassCounts

COUNT_BYTES = 8
"""Of a class's number of images, in the ledger."""


class CountedClients(HostedClients[HostedT], Generic[HostedT]):
    """One or several clients, of an algorithm whose server is told so much."""

    def class_counts(self) -> list[ClassCounts]:
        """How many images of each class every client holds."""
        counts = [ClassCounts(number, client.owner.class_counts()) for number, client in self._clients.items()]
        for one in counts:
            self._traffic.add("client", "server", "ClassCounts", COUNT_BYTES * len(one.counts))
        return counts
