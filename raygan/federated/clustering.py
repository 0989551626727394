"""Which clients hold the same kind of data (arXiv 2507.12979; step "Cluster" of a round's end)."""

from __future__ import annotations

import warnings
from typing import Literal

import numpy as np
import numpy.typing as npt

from raygan.federated import Floats

Ints = npt.NDArray[np.int64]

MIN_SILHOUETTE = 0.1
"""`auto` keeps one cluster when no count separates the clients better than this."""
STARTS = 10
"""Times that k-means begins anew; the best end counts."""
EVERY_COUNT = 16
"""`auto` tries every number of clusters up to this, and from there on a quarter more each time."""
FEW_CLIENTS = 100
"""For more than these, `auto` begins k-means three times for each count instead of ten, since one takes seconds."""


def cluster_clients(features: Floats, count: int | Literal["auto"], seed: int) -> Ints:
    """K-means over one feature vector a client.

    Args:
        features: (K, F), one row a client: the anchor block's activation, averaged over its batch.
        count: number of clusters, at most K, or `auto`: of the counts from 2 to K - 1 that are tried
            (`counts_to_try`) the one with the best mean silhouette, or 1 if none is above `MIN_SILHOUETTE`.
        seed: of k-means' initial centres.

    Returns:
        (K,) cluster of each client: 0, 1, ... in the order in which clients first name them. Clusters
        that k-means leaves empty are not in it.
    """
    num_clients = len(features)
    features = _compact(features)
    assert count == "auto" or 1 <= count <= num_clients, f"{count} clusters of {num_clients} clients"
    if count != "auto":
        return _renumber(_k_means(features, count, seed, STARTS))
    from sklearn.metrics import pairwise_distances, silhouette_score  # slow to import, first needed here

    starts = STARTS if num_clients <= FEW_CLIENTS else 3
    candidates = [_k_means(features, k, seed, starts) for k in counts_to_try(num_clients)]
    distances = pairwise_distances(features)
    scored = [
        (silhouette_score(distances, found, metric="precomputed"), found)
        for found in candidates
        if 1 < len(set(found)) < num_clients
    ]
    if not scored:
        return np.zeros(num_clients, dtype=np.int64)
    score, best = max(scored, key=lambda pair: pair[0])
    return _renumber(best) if score > MIN_SILHOUETTE else np.zeros(num_clients, dtype=np.int64)


def counts_to_try(num_clients: int) -> list[int]:
    """The numbers of clusters among which `auto` chooses: all up to `EVERY_COUNT`, then a quarter more each time, below
    four times the square root of the number of clients."""
    counts = list(range(2, min(num_clients, EVERY_COUNT + 1)))
    more = EVERY_COUNT + EVERY_COUNT // 4
    while more < min(num_clients, 4 * np.sqrt(num_clients)):
        counts.append(more)
        more += more // 4
    return counts


def _compact(features: Floats) -> Floats:
    """The same distances in fewer coordinates: K points span at most K of them, however many features they have."""
    num_clients, num_features = features.shape
    if num_features <= num_clients:
        return features
    centred = features.astype(np.float64) - features.mean(axis=0, dtype=np.float64)
    left, scale, _ = np.linalg.svd(centred, full_matrices=False)
    return np.asarray(left * scale)


def _k_means(features: Floats, count: int, seed: int, starts: int) -> Ints:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer points than clusters: some stay empty
        return np.asarray(KMeans(n_clusters=count, n_init=starts, random_state=seed).fit_predict(features))


def _renumber(found: Ints) -> Ints:
    numbers: dict[int, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in found.tolist()], dtype=np.int64)
