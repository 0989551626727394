"""A member's side of a session. It does every turn once, and lets nothing out that would show its blocks alone."""

from __future__ import annotations

import os
from collections.abc import Mapping

import numpy as np

from raygan.names import BlockKey, BlockState
from raygan.secure import LEAST_HOLDERS, primitives, shamir
from raygan.secure.fixed_point import encode, form_of
from raygan.secure.secret import Secret
from raygan.secure.session import Session, still
from raygan.wire.secure import Dealt, Holders, KeyShares, MaskedState, PublicKeys, Roster, Survivors, Unmasking


class RefusedError(RuntimeError):
    """What a member does not do, since the server would learn more than a sum."""


class Member:
    """One client in one session.

    Args:
        blocks: what it holds, which does not change any more.
        secret: the clients', for sealed blocks; None: it holds none.
    """

    def __init__(
        self, client: int, session: str, blocks: Mapping[BlockKey, BlockState], secret: Secret | None = None
    ) -> None:
        self._secret = secret
        self.client, self._name, self._blocks = client, session, blocks
        self._sealing, self._masking = primitives.KeyPair(), primitives.KeyPair()
        self._seeds: dict[Holders, bytes] = {}
        """Group of holders -> b_u of its own mask for what they hold."""
        self._session: Session | None = None
        self._dealt: dict[int, bytes] = {}
        """Whose secrets -> the shares of them that it keeps."""
        self._masked = False

    def announce(self) -> PublicKeys:
        """Its public keys."""
        sealing, masking = _array(self._sealing.public), _array(self._masking.public)
        return PublicKeys(self.client, sealing, masking, tuple(self._blocks))

    def share(self, roster: Roster) -> KeyShares:
        """Deals its secrets to all members, each its shares alone.

        Raises:
            RefusedError: fewer than three members, other keys than its own, or a second time.
        """
        session = Session(roster)
        mine = roster.members.get(self.client)
        if self._session is not None or mine is None or mine.masking.tobytes() != self._masking.public:
            raise RefusedError("it is not in the roster with the keys that it announced, or has dealt already")
        if len(session.members) < LEAST_HOLDERS:
            raise RefusedError(f"{len(session.members)} members are fewer than {LEAST_HOLDERS}")
        self._session = session
        self._seeds = {group: os.urandom(shamir.SECRET_BYTES) for group in session.groups_of(self.client)}
        secrets = [self._masking.private, *self._seeds.values()]
        split = [shamir.split(secret, session.points.values(), session.threshold) for secret in secrets]
        shares = {member: b"".join(of[point] for of in split) for member, point in session.points.items()}
        self._dealt[self.client] = shares.pop(self.client)
        sealed = {member: _array(self._seal(member, message)) for member, message in shares.items()}
        return KeyShares(self.client, sealed)

    def mask(self, dealt: Dealt, weight: float) -> MaskedState:
        """Its blocks times its weight, under masks of those who have dealt; without the blocks that fewer than three of
        them hold.

        Args:
            weight: w_u, which the server knows.

        Raises:
            RefusedError: fewer than three members, or a second time.
            SealError: shares that are not for it.
            RangeError: an entry that cannot be summed.
        """
        session = self._joined()
        if self._masked:
            raise RefusedError("it has sent its blocks already")
        for sender, message in dealt.sealed.items():
            self._dealt[sender] = self._opened(sender, message.tobytes())
        if len(self._dealt) < LEAST_HOLDERS:
            raise RefusedError(f"{len(self._dealt)} members are fewer than {LEAST_HOLDERS}")
        self._masked = True
        sums = {}
        for key, state in self._blocks.items():
            if len(still(session.holders[key], self._dealt)) >= LEAST_HOLDERS:
                sums[key] = self._under_masks(session, key, encode(state, weight))
        return MaskedState(self.client, sums, {key: form_of(self._blocks[key]) for key in sums})

    def unmask(self, survivors: Survivors) -> Unmasking:
        """Its shares of what takes the masks off the sum: of a member whose blocks arrived those of its own mask, of
        another those of its masking key; none for a block of which fewer than three arrived.

        Raises:
            RefusedError: fewer than three members, one that has not dealt, or a second time.
        """
        session, there = self._joined(), set(survivors.clients)
        if not self._masked or len(there) < LEAST_HOLDERS or not there <= self._dealt.keys():
            raise RefusedError(f"{len(there)} members' blocks are no sum that it may tell")
        seeds: dict[tuple[Holders, int], np.ndarray] = {}
        for member in sorted(there):
            shares = _parts(self._dealt[member])[1:]
            for group, share in zip(session.groups_of(member), shares, strict=True):
                if len(still(group, there)) >= LEAST_HOLDERS:
                    seeds[group, member] = _array(share)
        keys = {m: _array(_parts(message)[0]) for m, message in sorted(self._dealt.items()) if m not in there}
        self._session = None
        return Unmasking(self.client, seeds, keys)

    def _joined(self) -> Session:
        if self._session is None:
            raise RefusedError("it is not in the session, or has told its shares already")
        return self._session

    def _under_masks(self, session: Session, key: BlockKey, entries: np.ndarray) -> np.ndarray:
        """(N,) uint64 y_u of one block."""
        group = session.holders[key]
        total: np.ndarray = entries + session.own_mask(self._seeds[group], key, len(entries))
        for other in still(group, self._dealt):
            if other != self.client:
                total += session.pair_mask(self._masking, self.client, other, key, len(entries))
        if key[0] == "sealed":
            if self._secret is None:
                raise RefusedError("it has no secret to hide its discriminator with")
            total += self._secret.pad(self._name, self.client, key, len(entries))
        return total

    def _seal(self, receiver: int, message: bytes) -> bytes:
        key = self._sealing.agreed(self._joined().sealing_key(receiver), self._name, "shares")
        return primitives.sealed(key, message, _way(self.client, receiver))

    def _opened(self, sender: int, message: bytes) -> bytes:
        key = self._sealing.agreed(self._joined().sealing_key(sender), self._name, "shares")
        return primitives.opened(key, message, _way(sender, self.client))


def _way(sender: int, receiver: int) -> str:
    return f"shares of {sender} for {receiver}"


def _array(message: bytes) -> np.ndarray:
    return np.frombuffer(message, np.uint8)


def _parts(message: bytes) -> list[bytes]:
    """The shares in a message: of the masking key, then of each group's seed."""
    size = shamir.SHARE_BYTES
    return [message[start : start + size] for start in range(0, len(message), size)]
