"""Averages the members of one cluster, block by block. Needs no torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from raygan.federated.aggregation import BlockAverager
from raygan.messages import BlockAverage, BlockKey, State, Written
from raygan.storage import write_arrays


class ClusterAggregator:
    """One cluster's aggregator; the body's average over all clients is one more."""

    def average(
        self, blocks: Sequence[BlockKey], weights: Sequence[float], body: State, members: Iterable[State]
    ) -> list[BlockAverage]:
        """theta_b(S) for each asked block b.

        Args:
            blocks: the blocks to return, in order.
            weights: w_k of each member; they sum to 1.
            body: the body's state, for the blocks that a member does not hold.
            members: one state for each weight; taken one at a time.
        """
        averager = BlockAverager(body)
        for state, weight in zip(members, weights, strict=True):
            averager.add(state, weight)
        averages = averager.average()
        return [BlockAverage(key, averages[key]) for key in blocks]

    def save(self, path: str, averages: Sequence[BlockAverage]) -> Written:
        """Writes a cluster's networks: `network.block.name` for every array."""
        arrays = {
            f"{average.block[0]}.{average.block[1]}.{name}": array
            for average in averages
            for name, array in average.state.items()
        }
        return write_arrays(Path(path), arrays)
