"""Aggregation with holes: clients hold different blocks (arXiv 2507.12979; step "Aggregate" of a round's end).

    theta_b(S) = sum over k in S of w_k * (theta_b of client k if k holds b, else theta_b of the body)

Parameters and BatchNorm buffers alike; sums in float64, results in the dtype of what was averaged.
"""

from __future__ import annotations

import numpy as np

from raygan.names import BlockKey, BlockState
from raygan.wire.records import State


class BlockAverager:
    """Averages members one at a time, so that only one of them is in memory. The body's state may miss the blocks that
    every member holds."""

    def __init__(self, body: State) -> None:
        self._body = body
        self._sums: dict[BlockKey, dict[str, np.ndarray]] = {}
        self._dtypes: dict[tuple[BlockKey, str], np.dtype] = {}
        self._held_weight: dict[BlockKey, float] = {}
        self._total_weight = 0.0

    def add(self, member: State, weight: float) -> None:
        """Adds one member with its weight; a member of weight 0 (a reported fault) is left out."""
        if weight == 0.0:
            return
        self._total_weight += weight
        for key, state in member.blocks.items():
            self._add_block(key, state, weight)
            self._held_weight[key] = self._held_weight.get(key, 0.0) + weight

    def _add_block(self, key: BlockKey, state: BlockState, weight: float) -> None:
        sums = self._sums.setdefault(key, {})
        for name, array in state.items():
            self._dtypes[key, name] = array.dtype
            term = weight * array.astype(np.float64)
            sums[name] = sums[name] + term if name in sums else term

    @property
    def has_members(self) -> bool:
        """Whether anybody with a weight was added."""
        return self._total_weight > 0

    def average(self) -> dict[BlockKey, dict[str, np.ndarray]]:
        """The averages of all blocks that a member or the body holds.

        The members' weights sum to 1 unless one was lost; then they are scaled to.
        """
        for key, state in self._body.blocks.items():
            hole = self._total_weight - self._held_weight.get(key, 0.0)
            if key not in self._held_weight or hole > 1e-12:
                self._add_block(key, state, hole)
        return {
            key: {name: self._cast(key, name, array) for name, array in sums.items()}
            for key, sums in self._sums.items()
        }

    def _cast(self, key: BlockKey, name: str, total: np.ndarray) -> np.ndarray:
        dtype, array = self._dtypes[key, name], total / self._total_weight
        rounded = np.rint(array) if dtype.kind in "iu" else array
        return np.asarray(rounded, dtype)  # of a counter, numpy has made a scalar meanwhile
