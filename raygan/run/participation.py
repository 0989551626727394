"""Who takes part in a round."""

from __future__ import annotations

from collections.abc import Iterable

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
