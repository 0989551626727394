"""Clients' states on their way to an aggregator, and the averages that it makes of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar, cast

from raygan.names import BlockKey
from raygan.parties.aggregator import ClusterAggregator
from raygan.parties.base import Server, Worker
from raygan.parties.layout import Layout
from raygan.runtime.backend import Handle, Reference, together
from raygan.runtime.federation import Federation
from raygan.wire.records import BlockAverage, Lost, State

WorkerT = TypeVar("WorkerT", bound=Worker)
ServerT = TypeVar("ServerT", bound=Server)
Averages = Mapping[BlockKey, Reference[BlockAverage | Lost]]
"""A model, or the averaged part of one, block by block."""
NO_BODY = State(0, {})
"""Of networks that every client holds whole."""


def workers_of(federation: Federation[WorkerT, ServerT], layout: Layout[Any], clients: Collection[int]) -> list[int]:
    """The workers that hold some of these clients."""
    return [worker for worker in federation.workers if set(clients) & set(layout.workers[worker].ids)]


def collect(
    federation: Federation[WorkerT, ServerT],
    layout: Layout[Any],
    clients: Collection[int],
    states: Callable[[WorkerT], Sequence[State]],
) -> dict[int, Reference[State]]:
    """Client -> what it holds, of these clients and of those that share their workers.

    Args:
        states: the worker's method that returns them, client after client.
    """
    found: dict[int, Reference[State]] = {}
    for worker in workers_of(federation, layout, clients):
        ids = layout.workers[worker].ids
        found |= zip(ids, federation.workers[worker].call_many(len(ids), states), strict=True)
    return found


def average(
    aggregator: Handle[ClusterAggregator],
    keys: Sequence[BlockKey],
    weights: Mapping[int, float],
    states: Mapping[int, Reference[State]],
    body: Reference[State | Lost] | None = None,
) -> Averages:
    """The blocks, averaged over clients by their weights, which sum to 1.

    Args:
        body: stands for the blocks that a client lacks; None: none lacks any.
    """
    members = together([states[client] for client in weights])
    shared = cast("Reference[State | Lost]", NO_BODY) if body is None else body
    asked = (keys, list(weights.values()), shared, members)
    return dict(zip(keys, aggregator.call_many(len(keys), ClusterAggregator.average, *asked), strict=True))
