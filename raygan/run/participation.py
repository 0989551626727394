"""Who takes part in a round, and whose average the others take over."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from raygan.config.schema import Config
from raygan.randomness import stream


def sample_clients(available: Iterable[int], config: Config, round_number: int) -> tuple[int, ...]:
    """The clients of a round, ascending: all, or as many as `training.participation` asks for, drawn evenly.

    Args:
        available: clients that have not been set aside.
        round_number: from 0; with the seed it decides the draw.
    """
    clients = sorted(available)
    count = min(config.clients_a_round, len(clients))
    if count == len(clients):
        return tuple(clients)
    drawn = stream(config.seed, "participation", round_number).choice(clients, count, replace=False)
    return tuple(sorted(drawn.tolist()))


def last_clusters(rounds: Sequence[Mapping[str, Any]], clients: Sequence[int]) -> dict[int, int]:
    """Client -> the cluster whose average it has after the last of the rounds.

    A client of the round has its own cluster. Another has the one to which most members of its last cluster
    went; one that was never in a cluster, the first.

    Args:
        rounds: lines of `clusters.jsonl`, in order, at least one.
    """
    given: dict[int, int] = {}
    for line in rounds:
        now = {int(client): entry["cluster"] for client, entry in line["clients"].items()}
        heirs = {before: _heir(before, given, now) for before in set(given.values())}
        anyone = min(now.values())
        given = {client: now.get(client, heirs.get(given.get(client, -1), anyone)) for client in clients}
    return given


def _heir(before: int, given: Mapping[int, int], now: Mapping[int, int]) -> int:
    """The cluster to which most members of a former cluster went; the smallest of several, or of all."""
    went = Counter(cluster for client, cluster in sorted(now.items()) if given.get(client) == before)
    return min(went, key=lambda cluster: (-went[cluster], cluster)) if went else min(now.values())
