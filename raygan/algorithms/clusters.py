"""Clusters as the run's files and measurements have them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from raygan.algorithms.base import ServerState
from raygan.algorithms.identities import lasting_identities, served_after
from raygan.wire.records import Assignment


def members(assignment: Assignment) -> dict[int, list[int]]:
    """Cluster -> its clients, both ascending."""
    found: dict[int, list[int]] = {}
    for client, cluster in sorted(assignment.cluster.items()):
        found.setdefault(cluster, []).append(client)
    return dict(sorted(found.items()))


def name_clusters(
    assignment: Assignment, state: ServerState, everybody: Iterable[int]
) -> tuple[Assignment, ServerState]:
    """A cluster is the one that most of its members were in before; the others are new."""
    found = assignment.cluster
    names, num_models = lasting_identities(found, state.serves, state.num_models)
    cluster = {client: names[number] for client, number in found.items()}
    serves = served_after(state.serves, cluster, everybody)
    return replace(assignment, cluster=cluster), ServerState(serves=serves, num_models=num_models)


def cluster_line(round_number: int, assignment: Assignment) -> dict[str, Any]:
    """A line of `clusters.jsonl`: cluster, KLD and weights of each client of a round (from 0)."""
    return {
        "round": round_number + 1,
        "clients": {
            str(client): {
                "cluster": cluster,
                "kld": kld if math.isfinite(kld := assignment.kld[client]) else None,
                "weight": assignment.weight[client],
                "body_weight": assignment.body_weight[client],
            }
            for client, cluster in assignment.cluster.items()
        },
    }


def cluster_measures(cluster: Mapping[int, int], domains: Mapping[int, int]) -> dict[str, Any]:
    """How many clusters, how large, and whether they are the domains (adjusted Rand index).

    Args:
        cluster: client -> cluster, of the clients of a round.
        domains: client -> index of its domain.
    """
    sizes = Counter(cluster.values())
    return {
        "clusters": len(sizes),
        "cluster_sizes": {str(number): size for number, size in sorted(sizes.items())},
        "cluster_agreement": cluster_agreement(list(cluster.values()), [domains[c] for c in cluster]),
    }


def cluster_agreement(found: Sequence[int] | Sequence[str], true: Sequence[int] | Sequence[str]) -> float:
    """Adjusted Rand index of the found clusters and the true domains.

        ARI = (RI - E[RI]) / (max RI - E[RI]),   RI = share of client pairs on which both partitions agree

    Hubert and Arabie 1985, "Comparing partitions", Journal of Classification 2, 193-218; computed by
    scikit-learn. 1 where the partitions are equal, about 0 for random ones, as low as -0.5. Both have one entry a
    client, in the same order; names of clusters do not matter, only who is together.

    Example:
        >>> cluster_agreement([1, 1, 0, 0], ["mnist", "mnist", "fashion", "fashion"])
        1.0
        >>> cluster_agreement([0, 0, 0, 0], ["mnist", "mnist", "fashion", "fashion"])
        0.0
    """
    from sklearn.metrics import adjusted_rand_score  # slow to import

    return float(adjusted_rand_score(true, found))
