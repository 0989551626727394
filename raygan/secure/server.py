"""The server's side of a session: it hands on what is sealed, adds what is masked, and takes the masks off the sum."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from raygan.names import BlockForm, BlockKey
from raygan.secure import LEAST_HOLDERS, primitives, shamir
from raygan.secure.fixed_point import cast, decode
from raygan.secure.session import Session, still
from raygan.wire.records import TOTAL, SealedAverage, State
from raygan.wire.secure import Dealt, Holders, KeyShares, MaskedState, PublicKeys, Roster, Survivors, Unmasking


class TooFewError(RuntimeError):
    """Fewer members are left than a sum needs."""


@dataclass(frozen=True)
class BlockSum:
    """A block's sum over the members that hold it and are there."""

    holders: tuple[int, ...]
    total: np.ndarray
    """(N,) uint64 sum_u w_u theta_u in fixed point; of a sealed block with the holders' pads."""
    form: BlockForm


class SecureSum:
    """One session, turn by turn."""

    def __init__(self, session: str, announced: Iterable[PublicKeys]) -> None:
        self.roster = Roster(session, {keys.client: keys for keys in announced})
        self._session = Session(self.roster)
        self._dealt: tuple[int, ...] = ()
        self._sums: dict[BlockKey, np.ndarray] = {}
        self._forms: dict[BlockKey, BlockForm] = {}
        self.survivors: tuple[int, ...] = ()
        """Whose blocks arrived."""

    def deal(self, shares: Iterable[KeyShares]) -> dict[int, Dealt]:
        """Member -> what is sealed to it, of those who have dealt their secrets."""
        by_sender = {one.client: one.sealed for one in shares}
        self._dealt = tuple(sorted(by_sender))
        return {
            member: Dealt(member, {s: sealed[member] for s, sealed in by_sender.items() if s != member})
            for member in self._dealt
        }

    def add(self, member: MaskedState) -> None:
        """Takes in one member's masked blocks."""
        self.survivors = (*self.survivors, member.client)
        for key, entries in member.sums.items():
            self._sums[key] = self._sums[key] + entries if key in self._sums else entries
        self._forms.update(member.forms)

    def told(self, lost: Mapping[int, str]) -> Survivors:
        """Whose blocks are in the sum.

        Args:
            lost: member whose blocks did not arrive -> why.
        """
        self.survivors = tuple(sorted(self.survivors))
        unsummed = tuple(key for key in self._session.holders if not self._is_sum(key))
        return Survivors(self.survivors, lost, unsummed)

    def sums(self, told: Sequence[Unmasking]) -> dict[BlockKey, BlockSum]:
        """Block -> its sum, of the blocks that at least three of those hold whose blocks arrived.

        Raises:
            TooFewError: so few members answered that the masks cannot be taken off.
        """
        if len(told) < self._session.threshold:
            found = f"{len(told)} of {len(self._session.members)} members are left"
            raise TooFewError(f"{found}, and {self._session.threshold} are needed to unmask their sum")
        asked = {self._session.points[one.client]: one for one in told[: self._session.threshold]}
        recovery, any_one = shamir.Recovery(asked), told[0]
        seeds = {
            pair: recovery.secret({point: one.seeds[pair].tobytes() for point, one in asked.items()})
            for pair in any_one.seeds
        }
        lost = {
            member: recovery.secret({point: one.keys[member].tobytes() for point, one in asked.items()})
            for member in any_one.keys
        }
        keys = {member: primitives.KeyPair(private) for member, private in lost.items()}
        return {key: self._unmasked(key, seeds, keys) for key in self._sums if self._is_sum(key)}

    def _is_sum(self, key: BlockKey) -> bool:
        return len(still(self._session.holders[key], self.survivors)) >= LEAST_HOLDERS

    def _unmasked(
        self, key: BlockKey, seeds: Mapping[tuple[Holders, int], bytes], lost: Mapping[int, primitives.KeyPair]
    ) -> BlockSum:
        """The sum of one block without its members' own masks, and without those that they shared with who was lost."""
        session, total = self._session, self._sums[key].copy()
        group = session.holders[key]
        there = still(group, self.survivors)
        for member in there:
            total -= session.own_mask(seeds[group, member], key, len(total))
        for member in still(group, lost):
            for other in there:
                total += session.pair_mask(lost[member], member, other, key, len(total))
        return BlockSum(tuple(there), total, self._forms[key])


def averaged(
    sums: Mapping[BlockKey, BlockSum], weights: Mapping[int, float], survivors: Collection[int], body: State
) -> dict[BlockKey, dict[str, np.ndarray]]:
    """Block -> its average over the survivors, by the rule of `raygan/federated/aggregation.py`.

        theta_b = (sum over holders of w_k theta_bk + (W - W_b) theta_b of the body) / W

    W is the weight of all survivors, W_b of those that hold b. A block in no sum is the body's, as if nobody held it.

    Args:
        weights: w_k of each member.
        body: may miss the blocks that every member holds.
    """
    whole = sum(weights[client] for client in sorted(survivors))
    found = {key: dict(state) for key, state in body.blocks.items()}
    for key, one in sums.items():
        if key[0] == "sealed":
            continue
        hole = whole - sum(weights[client] for client in one.holders)
        totals = decode(one.total, one.form)
        if hole > 1e-12:
            totals = {name: total + hole * body.blocks[key][name].astype(np.float64) for name, total in totals.items()}
        found[key] = {name: cast(totals[name] / whole, dtype) for name, dtype, _ in one.form}
    return found


def still_sealed(
    session: str, asked: Iterable[BlockKey], sums: Mapping[BlockKey, BlockSum], weights: Mapping[int, float]
) -> dict[BlockKey, SealedAverage]:
    """The sealed ones of the blocks asked for, as clients are sent them."""
    found = {}
    for key in asked:
        if key[0] == "sealed":
            one = sums.get(key, BlockSum((), np.zeros(0, np.uint64), ()))
            weight = sum(weights[client] for client in one.holders)
            found[key] = SealedAverage(key, {TOTAL: one.total}, session, one.holders, weight, one.form)
    return found
