"""The federated half of the method on numpy arrays: clustering, weighting, aggregation; no torch.

What a rule of each kind must be is said here; `raygan.config.choices` names the rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol, cast

import numpy as np
import numpy.typing as npt

from raygan.config.choices import AGGREGATIONS, CLUSTERINGS, WEIGHTINGS, chosen
from raygan.names import BlockKey, BlockState
from raygan.wire.records import State

Floats = npt.NDArray[np.floating]


class Clustering(Protocol):
    """Which clients hold the same kind of data."""

    def __call__(self, features: Floats, count: int | Literal["auto"], seed: int) -> npt.NDArray[np.int64]:
        """Cluster of each client: 0, 1, ...

        Args:
            features: (K, F), one row a client.
            count: of clusters, at most K; `auto`: the rule's own choice.
        """


class Weighting(Protocol):
    """How much each member of a cluster counts."""

    def __call__(self, maps: Floats, num_samples: Floats, beta: float) -> tuple[Floats, Floats]:
        """Each member's divergence from the others, and its weight; weights sum to 1.

        Args:
            maps: (K, C, S), batch means of the anchor activation, positions flattened.
            num_samples: (K,) training images.
            beta: sharpness; 0: by the number of images alone.
        """


class Averager(Protocol):
    """An average over members, taken in one at a time."""

    def add(self, member: State, weight: float) -> None:
        """Takes in one member."""

    @property
    def has_members(self) -> bool:
        """Whether anybody with a weight was added."""

    def average(self) -> Mapping[BlockKey, BlockState]:
        """The average of every block."""


class Aggregation(Protocol):
    """Begins an average."""

    def __call__(self, body: State) -> Averager:
        """
        Args:
            body: the body's state, for blocks that a member does not hold.
        """


def clustering_rule(name: str) -> Clustering:
    """The rule of that name."""
    return cast(Clustering, chosen(CLUSTERINGS, name))


def weighting_rule(name: str) -> Weighting:
    """The rule of that name."""
    return cast(Weighting, chosen(WEIGHTINGS, name))


def aggregation_rule(name: str) -> Aggregation:
    """The rule of that name."""
    return cast(Aggregation, chosen(AGGREGATIONS, name))
