"""Clients whose networks are summed under masks (`raygan/secure`): the server learns the sum, and nobody's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from torch import nn

from raygan.config.privacy import PrivacyConfig
from raygan.names import BlockKey, BlockState
from raygan.nn.network import block_state
from raygan.parties.base import Worker
from raygan.wire.records import Lost, State, num_bytes
from raygan.wire.secure import Dealt, KeyShares, MaskedState, PublicKeys, Roster, Survivors, Unmasking
from raygan.wire.traffic import TrafficCounter

if TYPE_CHECKING:
    from raygan.secure.member import Member

SECURE_RECORDS = frozenset({PublicKeys, KeyShares, MaskedState, Unmasking})
"""What leaves a client for a secure sum."""
R = TypeVar("R")


class MaskedClient(Protocol):
    """One client."""

    @property
    def blocks(self) -> Mapping[BlockKey, nn.Module]:
        """What it gives away, in order."""


MaskedT = TypeVar("MaskedT", bound=MaskedClient)


@dataclass
class _Sums:
    """What is under way."""

    kept: dict[int, dict[BlockKey, BlockState]] = field(default_factory=dict)
    """Client -> what it gives away, as it was when the sums began."""
    members: dict[tuple[str, int], Member] = field(default_factory=dict)
    """(Session, client) -> its side of it, until it has told its shares."""


class MaskedClients(Worker, Generic[MaskedT]):
    """Beside `HostedClients`, one or several clients. Each is a member with keys of its own, whoever shares its process.

    A member that refuses a turn, or has lost the session, is `Lost` to the server; the others go on.
    """

    _clients: dict[int, MaskedT]
    _privacy: PrivacyConfig
    _traffic: TrafficCounter

    @cached_property
    def _sums(self) -> _Sums:
        return _Sums()

    @property
    def allowed(self) -> frozenset[type]:
        """Where networks are summed under masks, nobody's state leaves it."""
        return self.sends - {State} | SECURE_RECORDS if self._privacy.secure_aggregation else self.sends

    def keep(self) -> None:
        """Copies what each client gives away, for the sums that are to come: a sum that is made again, since its
        aggregator was lost, must not be one of clients that have taken over half of it."""
        self._sums.members = {}
        self._sums.kept = {
            number: {key: block_state(block) for key, block in client.blocks.items()}
            for number, client in self._clients.items()
        }

    def announce(self, session: str, clients: Sequence[int]) -> list[PublicKeys | Lost]:
        """Public keys of these of its clients, in order."""
        from raygan.secure.member import Member

        kept = self._sums.kept
        if not kept:
            return [Lost("it was started again, and has nothing to sum") for _ in clients]
        members = {(session, number): Member(number, session, kept[number]) for number in clients}
        self._sums.members |= members
        return [member.announce() for member in members.values()]

    def share(self, session: str, clients: Sequence[int], roster: Roster | Lost) -> list[KeyShares | Lost]:
        """Their secrets, dealt to the members of the roster."""
        return [self._turn(session, number, roster, lambda member, record: member.share(record)) for number in clients]

    def mask(
        self, session: str, weights: Mapping[int, float], dealt: Sequence[Dealt | Lost]
    ) -> list[MaskedState | Lost]:
        """Their blocks times their weights, under masks.

        Args:
            weights: w_k of each member of the session.
            dealt: the shares that are for each of its clients that is one, in order.
        """
        mine = [number for number in self._clients if number in weights]
        return [
            self._turn(session, number, record, lambda member, one: member.mask(one, weights[member.client]))
            for number, record in zip(mine, dealt, strict=True)
        ]

    def unmask(self, session: str, clients: Sequence[int], survivors: Survivors | Lost) -> list[Unmasking | Lost]:
        """Their shares of what takes the masks off the survivors' sum."""
        told = [self._turn(session, number, survivors, lambda member, one: member.unmask(one)) for number in clients]
        for number in clients:
            self._sums.members.pop((session, number), None)
        return told

    def _turn(self, session: str, number: int, record: Any, turn: Callable[[Member, Any], R]) -> R | Lost:
        """A member's answer to what the server sent it."""
        from raygan.secure.fixed_point import RangeError
        from raygan.secure.member import RefusedError
        from raygan.secure.primitives import SealError

        if isinstance(record, Lost):
            return record
        self._traffic.add("aggregator", "client", type(record).__name__, num_bytes(record))
        try:
            return turn(self._sums.members[session, number], record)
        except KeyError:
            return Lost(f"client-{number:02d} is not in the session any more")
        except (RefusedError, SealError, RangeError) as error:
            return Lost(f"client-{number:02d}: {error}", "unfit")
