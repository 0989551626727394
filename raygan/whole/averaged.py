"""Clients with both networks whole that are averaged."""

from __future__ import annotations

from raygan.parties.averaged import AveragedClients
from raygan.whole.clients import WholeClient, WholeClients
from raygan.wire.records import State


class AveragedWholeClients(AveragedClients[WholeClient], WholeClients):
    """One or several clients."""

    sends = frozenset({State})
