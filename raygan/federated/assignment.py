"""Who is averaged with whom, and how much each counts: clustering, then weighting (arXiv 2507.12979)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from raygan.config.choices import WEIGHTINGS, chosen
from raygan.config.schema import ClusterConfig
from raygan.federated import Floats, Weighting
from raygan.federated.rules import clustering
from raygan.wire.records import Assignment, Lost


def cluster_and_weigh(
    features: Mapping[int, Floats],
    num_samples: Mapping[int, int],
    settings: ClusterConfig,
    seed: int,
    round_number: int,
    domains: Mapping[int, int],
    least_members: int = 1,
) -> Assignment | Lost:
    """Clusters and weighs the clients of a round.

    In warm-up rounds there is one cluster, and weights are proportional to the number of images.

    Args:
        features: client -> the anchor activation's mean over its batch, (C, ...) or (F,). One that is not finite is
            left out, as a fault.
        num_samples: client -> training images, of these clients at least.
        round_number: from 0.
        domains: client -> its true domain, of these clients at least; read where `clusters.count` is `oracle` only.
        least_members: of a cluster; the members of a smaller one join the nearest.

    Returns:
        `Lost` where no client is left.
    """
    if not features:
        return Lost("no client took part in the round", "unfit")
    finite = {client: one for client, one in sorted(features.items()) if np.isfinite(one).all()}
    faults = tuple(
        f"client-{client:02d}: its anchor features are not finite; it is left out of the round's average"
        for client in sorted(features.keys() - finite.keys())
    )
    if not finite:
        return Lost(f"no client is left: {faults[0]}", "not_finite")
    clients = list(finite)
    stacked = np.stack(list(finite.values()))
    maps = stacked.reshape(len(clients), stacked.shape[1] if stacked.ndim > 2 else 1, -1)
    counts = np.array([num_samples[client] for client in clients], dtype=np.float64)
    warm_up = round_number < settings.warmup_rounds
    found = np.zeros(len(clients), dtype=np.int64)
    if not warm_up:
        truth = np.array([domains.get(client, 0) for client in clients], dtype=np.int64)
        flat = maps.reshape(len(clients), -1)
        found = _clusters(flat, settings, seed, truth)
        small = too_small(found, least_members)
        if small.any():
            found = joined(flat, found, least_members)
            names = ", ".join(f"client-{client:02d}" for client, is_in in zip(clients, small, strict=True) if is_in)
            faults += (f"{names}: their clusters have fewer than {least_members} members, and join the nearest",)
    beta = 0.0 if warm_up else settings.beta
    weigh: Weighting = chosen(WEIGHTINGS, settings.weighting)
    kld, weight = np.empty(len(clients)), np.empty(len(clients))
    for label in np.unique(found):
        members = found == label
        kld[members], weight[members] = weigh(maps[members], counts[members], beta)
    _, body_weight = weigh(maps, counts, beta)

    def by_client(column: Floats | npt.NDArray[np.int64]) -> dict[int, Any]:
        return dict(zip(clients, column.tolist(), strict=True))

    return Assignment(by_client(found), by_client(kld), by_client(weight), by_client(body_weight), faults)


def _clusters(
    features: Floats, settings: ClusterConfig, seed: int, truth: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    if settings.count == "oracle":
        return truth
    count = settings.count if settings.count == "auto" else min(settings.count, len(features))
    return clustering(settings.clustering)(features, count, seed)


def too_small(found: npt.NDArray[np.int64], least: int) -> npt.NDArray[np.bool_]:
    """(K,) whether a client's cluster has fewer members than that, of clients of which there are as many."""
    _, place, counts = np.unique(found, return_inverse=True, return_counts=True)
    return np.asarray((counts[place] < least) & (len(counts) > 1))


def joined(features: Floats, found: npt.NDArray[np.int64], least: int) -> npt.NDArray[np.int64]:
    """(K,) clusters of at least so many members, if there are so many clients: the smallest joins the one whose mean is
    nearest to its own, again and again; of equals, the first.

    Args:
        features: (K, F).
        found: (K,) cluster of each client.
    """
    found = found.copy()
    while too_small(found, least).any():
        labels, counts = np.unique(found, return_counts=True)
        means = np.stack([features[found == label].mean(axis=0, dtype=np.float64) for label in labels])
        smallest = int(counts.argmin())
        distances = np.linalg.norm(means - means[smallest], axis=1)
        distances[smallest] = np.inf
        found[found == labels[smallest]] = labels[int(distances.argmin())]
    return found
