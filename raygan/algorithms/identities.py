"""Models keep their identity over rounds: a group of clients is the model that most of them had before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping


def lasting_identities(
    groups: Mapping[int, int], before: Mapping[int, int], num_models: int
) -> tuple[dict[int, int], int]:
    """Group -> model. The pair of group and former model with the largest overlap is matched first; of equal overlaps
    the smaller model, then the group that the smaller client is in. Groups that are left are new models.

    Args:
        groups: client -> its group now, any numbers.
        before: client -> the model that it had; clients without one are missing.
        num_models: models that have ever been.

    Returns:
        The matching, and how many models have ever been by now.
    """
    first = {group: min(c for c, g in groups.items() if g == group) for group in set(groups.values())}
    overlap = Counter((group, before[client]) for client, group in groups.items() if client in before)
    matched: dict[int, int] = {}
    for group, model in sorted(overlap, key=lambda pair: (-overlap[pair], pair[1], first[pair[0]])):
        if group not in matched and model not in matched.values():
            matched[group] = model
    for group in sorted(first.keys() - matched.keys(), key=lambda group: first[group]):
        matched[group], num_models = num_models, num_models + 1
    return matched, num_models


def served_after(before: Mapping[int, int], now: Mapping[int, int], clients: Iterable[int]) -> dict[int, int]:
    """Client -> the model that it has, or is to have, after a round.

    A client of the round has its own group's. Another has the one to which most of those went that had the same model
    as it; one that never had any, the smallest.

    Args:
        before: the same after the round before.
        now: client -> its model, of the clients of the round; at least one.
        clients: all of the federation.
    """
    heirs = {model: _heir(model, before, now) for model in set(before.values())}
    anyone = min(now.values())
    return {client: now.get(client, heirs.get(before.get(client, -1), anyone)) for client in clients}


def _heir(model: int, before: Mapping[int, int], now: Mapping[int, int]) -> int:
    """The model to which most clients of a former one went; the smallest of several, or of all."""
    went = Counter(new for client, new in sorted(now.items()) if before.get(client) == model)
    return min(went, key=lambda new: (-went[new], new)) if went else min(now.values())
