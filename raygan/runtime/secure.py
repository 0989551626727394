"""A secure sum as calls: four turns of the members, each answered by the aggregator (`raygan/secure`).

Only references pass through the driver. It says who the members are, and their weights; whose blocks are in the sum is
the aggregator's word, the same for all of them.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Generic, TypeVar, cast

from raygan.names import BlockKey
from raygan.parties.aggregator import ClusterAggregator, Unmasked
from raygan.parties.base import Server
from raygan.parties.layout import Layout
from raygan.parties.masked import MaskedClients
from raygan.runtime.averages import NO_BODY, Averages
from raygan.runtime.backend import Handle, Reference, together
from raygan.runtime.federation import Federation
from raygan.wire.records import Lost, State
from raygan.wire.secure import Survivors

MaskedT = TypeVar("MaskedT", bound=MaskedClients[Any])
ServerT = TypeVar("ServerT", bound=Server)
RecordT = TypeVar("RecordT")
NOBODY = Lost("its actor is not there")


class SecureSums(Generic[MaskedT, ServerT]):
    """The sums that are made of one state of the clients."""

    def __init__(self, federation: Federation[MaskedT, ServerT], layout: Layout[Any]) -> None:
        self._federation, self._layout = federation, layout
        self._told: list[Reference[Survivors | Lost]] = []
        self.faults: list[str] = []
        """Members whose blocks did not arrive, a line each."""
        self.unsummed: list[BlockKey] = []
        """Blocks that too few held, and that therefore count as the body's."""
        for handle in federation.workers.values():
            handle.call(MaskedClients.keep)

    def average(
        self,
        aggregator: Handle[ClusterAggregator],
        keys: Sequence[BlockKey],
        weights: Mapping[int, float],
        body: Reference[State | Lost] | None = None,
    ) -> Averages:
        """The blocks, averaged over the clients whose weight is not 0.

        Args:
            body: stands for the blocks that a client lacks; None: none lacks any.
        """
        session, members = secrets.token_hex(16), [client for client, weight in weights.items() if weight > 0]
        mine = {
            worker: own
            for worker in self._federation.workers
            if (own := [client for client in self._layout.workers[worker].ids if client in members])
        }
        each, ask = partial(self._each, mine), aggregator.call
        announced = each(lambda of, own: of.call_many(len(own), MaskedClients.announce, session, own, keys))
        roster = ask(ClusterAggregator.introduce, session, _in_order(announced, members))
        shares = each(lambda of, own: of.call_many(len(own), MaskedClients.share, session, own, roster))
        many = session, members, _in_order(shares, members)
        sealed = aggregator.call_many(len(members), ClusterAggregator.deal, *many)
        dealt = dict(zip(members, sealed, strict=True))
        weighed = {client: weights[client] for client in members}
        sent = each(lambda of, own: of.call_many(len(own), MaskedClients.mask, session, weighed, _in_order(dealt, own)))
        survivors = ask(ClusterAggregator.survivors, session, members, _in_order(sent, members))
        shown = each(lambda of, own: of.call_many(len(own), MaskedClients.unmask, session, own, survivors))
        arrived = cast("Reference[Unmasked]", (NO_BODY if body is None else body, _in_order(shown, members)))
        self._told.append(survivors)
        averages = aggregator.call_many(len(keys), ClusterAggregator.unmask, session, keys, weighed, arrived)
        return dict(zip(keys, averages, strict=True))

    def take_stock(self) -> None:
        """Fills in what the sums so far lacked, once they are there."""
        for told in self._federation.fetch(self._told):
            if not isinstance(told, Lost):
                self.faults += [f"client-{client:02d} is in no sum: {why}" for client, why in told.lost.items()]
                self.unsummed += told.unsummed
        self.faults, self.unsummed = list(dict.fromkeys(self.faults)), list(dict.fromkeys(self.unsummed))
        self._told = []

    def _each(
        self,
        mine: Mapping[int, Sequence[int]],
        turn: Callable[[Handle[MaskedT], Sequence[int]], Sequence[Reference[RecordT]]],
    ) -> dict[int, Reference[RecordT]]:
        """Client -> its answer to a turn.

        Args:
            mine: worker -> those of its clients that are members.
            turn: asks a worker for the answers of these, in order.
        """
        answers: dict[int, Reference[RecordT]] = {}
        for worker, own in mine.items():
            answers |= zip(own, turn(self._federation.workers[worker], own), strict=True)
        return answers


def _in_order(
    answers: Mapping[int, Reference[RecordT | Lost]], members: Sequence[int]
) -> Reference[Sequence[RecordT | Lost]]:
    """One answer a member, as one argument."""
    nobody = cast("Reference[RecordT | Lost]", NOBODY)
    return together([answers.get(member, nobody) for member in members])


def share_secret(federation: Federation[MaskedT, ServerT]) -> list[Reference[Lost | None]]:
    """The workers agree on the clients' secret, from worker to worker: who has none is handed it, sealed, by one that has
    it; where nobody has it, one draws it. Whoever is `Lost` has none yet."""
    handles = list(federation.workers.values())
    greetings = together([handle.call(MaskedClients.greet) for handle in handles])
    handed = together([handle.call(MaskedClients.hand_over, greetings) for handle in handles])
    return [handle.call(MaskedClients.take_secret, greetings, handed) for handle in handles]
