"""Clients whose networks are summed under masks (`raygan/secure`): the server learns the sum, and nobody's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import numpy as np
import torch
from torch import nn

from raygan.config.privacy import PrivacyConfig
from raygan.names import BlockKey, BlockState, with_sealed
from raygan.nn.network import block_state
from raygan.parties.base import Worker
from raygan.parties.layout import WorkerPlan
from raygan.wire.records import TOTAL, BlockAverage, Lost, SealedAverage, State, num_bytes
from raygan.wire.secure import (
    Dealt,
    Greeting,
    HandedOver,
    KeyShares,
    MaskedState,
    PublicKeys,
    Roster,
    Survivors,
    Unmasking,
)
from raygan.wire.traffic import TrafficCounter

if TYPE_CHECKING:
    from raygan.secure.member import Member
    from raygan.secure.primitives import KeyPair
    from raygan.secure.secret import Secret

SECURE_RECORDS = frozenset({PublicKeys, KeyShares, MaskedState, Unmasking, Greeting, HandedOver})
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
    _secret: Secret | None = None
    """The clients', where D is hidden."""
    _keys: KeyPair
    """Of the agreement on it that is under way."""
    plan: WorkerPlan[Any]

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
        hidden = self._privacy.hide_discriminator
        self._sums.members = {}
        self._sums.kept = {
            number: dict(zip(with_sealed(client.blocks, hidden), map(block_state, client.blocks.values()), strict=True))
            for number, client in self._clients.items()
        }

    def announce(self, session: str, clients: Sequence[int], asked: Sequence[BlockKey]) -> list[PublicKeys | Lost]:
        """Public keys of these of its clients, in order.

        Args:
            asked: the blocks that are to be summed.
        """
        from raygan.secure.member import Member

        kept = self._sums.kept
        if not kept:
            return [Lost("it was started again, and has nothing to sum") for _ in clients]
        blocks = {number: {key: kept[number][key] for key in kept[number] if key in asked} for number in clients}
        members = {(session, number): Member(number, session, blocks[number], self._secret) for number in clients}
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

    def greet(self) -> Greeting:
        """Begins to agree on the clients' secret with the other workers."""
        from raygan.secure.primitives import KeyPair

        self._keys = KeyPair()
        return Greeting(self.plan.worker, _array(self._keys.public), self._secret is not None)

    def hand_over(self, greetings: Sequence[Greeting | Lost]) -> HandedOver:
        """The first of those who have the secret, or of all where nobody has it, seals it to every other."""
        from raygan.secure.primitives import sealed
        from raygan.secure.secret import Secret

        there = {greeting.worker: greeting for greeting in greetings if not isinstance(greeting, Lost)}
        first = min(there, key=lambda worker: (not there[worker].has_secret, worker))
        if first != self.plan.worker:
            return HandedOver(self.plan.worker, {})
        if self._secret is None:
            self._begin_with(Secret.drawn())
        assert self._secret is not None
        value = self._secret.value
        return HandedOver(
            first,
            {
                worker: _array(sealed(self._agreed(greeting), value, f"the secret for {worker}"))
                for worker, greeting in there.items()
                if worker != first
            },
        )

    def take_secret(self, greetings: Sequence[Greeting | Lost], handed: Sequence[HandedOver | Lost]) -> Lost | None:
        """Opens the secret that is sealed to it, and begins D's ends with it, unless it has one."""
        from raygan.secure.primitives import opened
        from raygan.secure.secret import Secret

        keys = {greeting.worker: greeting for greeting in greetings if not isinstance(greeting, Lost)}
        me = self.plan.worker
        for one in handed:
            if self._secret is None and isinstance(one, HandedOver) and me in one.sealed:
                agreed = self._agreed(keys[one.worker])
                self._begin_with(Secret(opened(agreed, one.sealed[me].tobytes(), f"the secret for {me}")))
        return Lost(f"worker {me} was handed no secret") if self._secret is None else None

    def _agreed(self, greeting: Greeting) -> bytes:
        return self._keys.agreed(greeting.key.tobytes(), "agreement", "secret")

    def _begin_with(self, secret: Secret) -> None:
        """Keeps the secret, and gives every client's part of D the same start, which nobody else knows: the entries of
        each parameter as the run's seed has them, in an order that the secret draws."""
        from raygan.secure.secret import keep_secret, permuted

        self._secret = secret
        keep_secret(Path(self._privacy.keys).expanduser(), secret)
        for client in self._clients.values():
            for (network, index), block in client.blocks.items():
                if network == "discriminator":
                    for name, parameter in block.named_parameters():
                        found = parameter.detach().cpu().numpy()
                        order = secret.draw(f"{network}.{index}.{name}")
                        parameter.data.copy_(torch.from_numpy(permuted(found, order)))

    def _to_file(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        if not self._privacy.hide_discriminator:
            return arrays
        assert self._secret is not None, "before its first round every worker has the secret"
        return self._secret.seal_arrays(arrays)

    def _from_file(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Of a run that hides D, with the secret that this machine keeps.

        Raises:
            RunError: it does not.
        """
        if not self._privacy.hide_discriminator:
            return arrays
        from raygan.secure.secret import kept_secret

        self._secret = kept_secret(Path(self._privacy.keys).expanduser(), arrays)
        return self._secret.open_arrays(arrays)

    def _readable(self, average: BlockAverage) -> BlockAverage | None:
        """An average that a client can take over; None: it keeps its own, since too few held the block."""
        if not isinstance(average, SealedAverage):
            return average
        if not average.holders:
            return None
        from raygan.secure.fixed_point import cast, decode

        assert self._secret is not None, "who has no secret is handed it before it takes over anything"
        total = self._secret.without_pads(average.state[TOTAL], average.session, average.holders, average.block)
        arrays = decode(total, average.form)
        state = {name: cast(arrays[name] / average.weight, dtype) for name, dtype, _ in average.form}
        return BlockAverage(("discriminator", average.block[1]), state)

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
            self._traffic.refused("aggregator", "client", type(record).__name__)
            return Lost(f"client-{number:02d}: {error}", "unfit")


def _array(message: bytes) -> np.ndarray:
    return np.frombuffer(message, np.uint8)
