"""Averages the members of one cluster, block by block. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from raygan.config.choices import AGGREGATIONS, chosen
from raygan.federated import Aggregation, Grouping
from raygan.names import BlockKey, BlockState, Weights, weights_in
from raygan.parties.base import Party
from raygan.storage import block_states, read_arrays, write_arrays
from raygan.wire.records import (
    AnchorMap,
    Assignment,
    BlockAverage,
    Lost,
    SealedAverage,
    State,
    Traffic,
    Written,
    num_bytes,
)
from raygan.wire.secure import Dealt, KeyShares, MaskedState, PublicKeys, Roster, Survivors, Unmasking
from raygan.wire.traffic import TrafficCounter

if TYPE_CHECKING:
    from raygan.secure.server import SecureSum

RecordT = TypeVar("RecordT")
Unmasked = tuple[State | Lost, Sequence[Unmasking | Lost]]
"""The body's state, for the blocks that a member does not hold, and what the survivors told."""


class ClusterAggregator(Party):
    """One cluster's aggregator; the body's average over all clients is one more.

    Args:
        rule: how it averages (`clusters.aggregation`).
    """

    streams = frozenset({"average", "assign", "survivors"})

    def __init__(self, rule: str = "holes") -> None:
        self._begin: Aggregation = chosen(AGGREGATIONS, rule)
        self._traffic = TrafficCounter()
        self._sums: dict[str, SecureSum] = {}
        """Session -> the sum under way in it."""

    def average(
        self,
        blocks: Sequence[BlockKey],
        weights: Sequence[float],
        body: State | Lost,
        members: Iterable[State | Lost],
    ) -> list[BlockAverage | Lost]:
        """theta_b(S) for each asked block b.

        Args:
            blocks: the blocks to return, in order.
            weights: w_k of each member; they sum to 1.
            body: the body's state, for the blocks that a member does not hold; empty: each holds all.
            members: one state for each weight; taken one at a time. The weight of one that is lost goes to
                the others in proportion.

        Returns:
            One record for each block; `Lost` for all where the body's state or every member is lost.
        """
        if isinstance(body, Lost):
            return [body for _ in blocks]
        if body.blocks:
            self._traffic.add("body", "aggregator", "State", num_bytes(body))
        averager = self._begin(body)
        for state, weight in zip(members, weights, strict=True):
            if not isinstance(state, Lost):
                self._traffic.add("client", "aggregator", "State", num_bytes(state))
                averager.add(state, weight)
        if not averager.has_members:
            return [Lost("no member of the cluster is left") for _ in blocks]
        averages = averager.average()
        return [BlockAverage(key, averages[key]) for key in blocks]

    def assign(self, group: Grouping, maps: Iterable[AnchorMap | Lost]) -> Assignment | Lost:
        """Clusters and weighs clients that tell their anchor activations themselves; those that are lost are left out."""
        features = {}
        for one in maps:
            if not isinstance(one, Lost):
                self._traffic.add("client", "aggregator", "AnchorMap", num_bytes(one))
                features[one.client] = one.map
        return group(features)

    def introduce(self, session: str, announced: Sequence[PublicKeys | Lost]) -> Roster | Lost:
        """Begins a secure sum (`raygan/secure`): everybody's public keys; who is lost is no member."""
        from raygan.secure.server import SecureSum  # needs the extra `privacy`

        self._sums[session] = SecureSum(session, self._arrived(announced))
        return self._sums[session].roster

    def deal(self, session: str, members: Sequence[int], shares: Sequence[KeyShares | Lost]) -> list[Dealt | Lost]:
        """For each of the members asked for, the shares that are sealed to it; those who dealt none are out."""
        dealt = self._sums[session].deal(self._arrived(shares))
        return [dealt.get(member, Lost(f"client-{member:02d} has dealt no shares")) for member in members]

    def survivors(self, session: str, members: Sequence[int], masked: Iterable[MaskedState | Lost]) -> Survivors | Lost:
        """Adds the masked blocks of those who sent them, of which one is in memory at a time.

        Args:
            members: whose each of the records is, or should have been.
        """
        lost: dict[int, str] = {}
        for member, record in zip(members, masked, strict=True):
            if isinstance(record, Lost):
                lost[member] = record.reason
            else:
                self._count("client", record)
                self._sums[session].add(record)
        return self._sums[session].told(lost)

    def unmask(
        self, session: str, asked: Sequence[BlockKey], weights: Mapping[int, float], arrived: Unmasked
    ) -> list[BlockAverage | Lost]:
        """theta_b(S) for each asked block b, as `average`, from the sums and the survivors' shares.

        Args:
            weights: w_k of each member.
        """
        from raygan.secure.server import TooFewError, averaged, still_sealed

        body, told = arrived
        total = self._sums.pop(session)
        if isinstance(body, Lost):
            return [body for _ in asked]
        if body.blocks:
            self._count("body", body)
        try:
            sums = total.sums(self._arrived(told))
        except TooFewError as error:
            return [Lost(str(error)) for _ in asked]
        blocks = averaged(sums, weights, total.survivors, body)
        found: dict[BlockKey, BlockAverage] = {key: BlockAverage(key, state) for key, state in blocks.items()}
        found |= still_sealed(session, asked, sums, weights)
        alone = Lost("fewer than three members are left that hold a block: there is no sum of it")
        return [found.get(key, alone) for key in asked]

    def _arrived(self, records: Iterable[RecordT | Lost]) -> list[RecordT]:
        """Those that are not lost, counted."""
        found = [record for record in records if not isinstance(record, Lost)]
        for record in found:
            self._count("client", record)
        return found

    def _count(self, source: str, record: object) -> None:
        self._traffic.add(source, "aggregator", type(record).__name__, num_bytes(record))

    def traffic(self) -> Traffic:
        """What clients and body sent since this was last asked."""
        return self._traffic.take()

    def save(self, path: str, averages: Sequence[BlockAverage | Lost]) -> Written | Lost:
        """Writes a model's networks: `network.block.name` for every array; no sealed block, and nothing if an average is
        lost."""
        for average in averages:
            if isinstance(average, Lost):
                return average
        arrays = {
            f"{average.block[0]}.{average.block[1]}.{name}": array
            for average in averages
            if isinstance(average, BlockAverage) and not isinstance(average, SealedAverage)
            for name, array in average.state.items()
        }
        return write_arrays(Path(path), arrays)


def model_file(name: str) -> str:
    """Name of a model's file in a checkpoint, such as `cluster-0.safetensors`."""
    return f"{name}.safetensors"


def generator_states(file: Path, weights: Weights) -> dict[int, BlockState]:
    """Block -> parameters and buffers of the generator in a model's file, or of its average, if it has one.

    Raises:
        RunError: the file is missing or damaged, or is no model's.
    """
    arrays = read_arrays(file)
    averages = block_states(arrays, "average") if weights == "average" else {}
    if averages:
        return {index: weights_in(state) for index, state in averages.items()}
    return {**block_states(arrays, "generator")}
