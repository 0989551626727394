"""Clients whose discriminators move from one to another."""

from __future__ import annotations

from collections.abc import Mapping

from raygan.served.worker import ServedClients
from raygan.wire.records import Lost, State, num_bytes


class WanderingClients(ServedClients):
    """One or several clients."""

    def swap(self, arriving: Mapping[int, State | Lost]) -> None:
        """Each client takes in another's discriminator, whose optimizer begins anew; where that is lost, it keeps its
        own."""
        for number, state in arriving.items():
            if isinstance(state, State):
                self._clients[number].discriminator.take_over(state.blocks)
                self._traffic.add("client", "client", "State", num_bytes(state))
