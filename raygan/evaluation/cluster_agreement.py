"""Cluster agreement: did the clients that hold the same kind of data find each other?"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from raygan.errors import InputError


def cluster_agreement(found: Sequence[Hashable], true: Sequence[Hashable]) -> float:
    """Adjusted Rand index of the found clusters and the true domains.

        ARI = (RI - E[RI]) / (max RI - E[RI]),   RI = share of client pairs on which both partitions agree

    Hubert and Arabie 1985, "Comparing partitions", Journal of Classification 2, 193-218; computed by
    scikit-learn. Names of clusters do not matter, only who is together.

    Args:
        found: one cluster a client, any hashable names.
        true: one domain a client, in the same order.

    Returns:
        1 where the partitions are equal, about 0 for random ones, as low as -0.5.

    Raises:
        InputError: no clients, or two lists of different lengths.

    Example:
        >>> cluster_agreement([1, 1, 0, 0], ["mnist", "mnist", "fashion", "fashion"])
        1.0
        >>> cluster_agreement([0, 0, 0, 0], ["mnist", "mnist", "fashion", "fashion"])
        0.0
    """
    from sklearn.metrics import adjusted_rand_score  # slow to import

    if len(found) != len(true) or not found:
        lengths = f"{len(found)} found and {len(true)} true"
        raise InputError("clusters", lengths, "pass one of each for every client, at least one client")
    return float(adjusted_rand_score(_numbered(true), _numbered(found)))


def _numbered(names: Sequence[Hashable]) -> np.ndarray:
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(name, len(numbers)) for name in names])
