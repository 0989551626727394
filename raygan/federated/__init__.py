"""The federated half of the method on numpy arrays: clustering, weighting, aggregation; no torch.

What a rule of each kind must be is said here; `raygan.config.choices` has the rules by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from raygan.names import BlockKey, BlockState
from raygan.wire.records import Assignment, Lost, State

Floats = npt.NDArray[np.floating]


Clustering = Callable[[Floats, int | Literal["auto"], int], npt.NDArray[np.int64]]
"""Which clients hold the same kind of data: (features (K, F), count of clusters, at most K, or `auto` for the rule's own
choice, seed) -> cluster of each client, 0, 1, ..."""

Weighting = Callable[[Floats, Floats, float], tuple[Floats, Floats]]
"""How much each member of a cluster counts: (maps (K, C, S), batch means of the anchor activation, positions flattened;
training images (K,); beta, the sharpness, 0: by the number of images alone) -> each member's divergence from the others,
and its weight; weights sum to 1."""


Grouping = Callable[[Mapping[int, Floats]], Assignment | Lost]
"""Clusters and weighs the clients of a round, by client -> its anchor activation's mean over a batch."""


class Averager(Protocol):
    """An average over members, taken in one at a time."""

    def add(self, member: State, weight: float) -> None:
        """Takes in one member."""

    @property
    def has_members(self) -> bool:
        """Whether anybody with a weight was added."""

    def average(self) -> Mapping[BlockKey, BlockState]:
        """The average of every block."""


Aggregation = Callable[[State], Averager]
"""Begins an average, with the body's state for blocks that a member does not hold."""
