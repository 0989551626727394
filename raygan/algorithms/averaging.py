"""Averages of clients' networks: states go up to an aggregator, averages come down."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from raygan.algorithms.base import Model
from raygan.names import BlockKey
from raygan.parties.aggregator import ClusterAggregator
from raygan.parties.averaged import AveragedClients
from raygan.parties.base import Server
from raygan.parties.layout import Layout
from raygan.runtime.backend import Handle, Reference, by_key, together
from raygan.runtime.federation import Federation
from raygan.wire.records import BlockAverage, Lost, State

AveragedT = TypeVar("AveragedT", bound=AveragedClients[Any])
ServerT = TypeVar("ServerT", bound=Server)
Averages = Mapping[BlockKey, Reference[BlockAverage | Lost]]
"""Block -> its average."""


def workers_of(federation: Federation[AveragedT, ServerT], layout: Layout[Any], clients: Collection[int]) -> list[int]:
    """The workers that hold some of these clients."""
    return [worker for worker in federation.workers if set(clients) & set(layout.workers[worker].ids)]


def states_of(
    federation: Federation[AveragedT, ServerT], layout: Layout[Any], clients: Collection[int]
) -> dict[int, Reference[State]]:
    """Client -> its networks, of these clients and of those that share their workers."""
    states: dict[int, Reference[State]] = {}
    for worker in workers_of(federation, layout, clients):
        ids = layout.workers[worker].ids
        states |= zip(ids, federation.workers[worker].call_many(len(ids), AveragedClients.states), strict=True)
    return states


def average(
    aggregator: Handle[ClusterAggregator],
    keys: Sequence[BlockKey],
    weights: Mapping[int, float],
    states: Mapping[int, Reference[State]],
) -> Averages:
    """The blocks, averaged over clients by their weights, which sum to 1."""
    members, no_body = together([states[client] for client in weights]), State(0, {})
    asked = (keys, list(weights.values()), no_body, members)
    return dict(zip(keys, aggregator.call_many(len(keys), ClusterAggregator.average, *asked), strict=True))


def load(
    federation: Federation[AveragedT, ServerT], layout: Layout[Any], models: Iterable[Model], keys: Sequence[BlockKey]
) -> dict[int, Lost]:
    """Each client of a model takes over these blocks of it.

    Returns:
        Worker -> why, of those that were lost before.

    Raises:
        RoundLost: an average was lost.
    """
    model_of = {client: model for model in models for client in model.clients}
    workers = workers_of(federation, layout, model_of)
    return federation.loaded([], {w: take_over(federation, layout, w, model_of, keys) for w in workers})


def take_over(
    federation: Federation[AveragedT, ServerT],
    layout: Layout[Any],
    worker: int,
    model_of: Mapping[int, Model],
    keys: Sequence[BlockKey],
) -> Reference[Lost | None]:
    """Those of a worker's clients that have a model take over these blocks of it."""
    mine = [client for client in layout.workers[worker].ids if client in model_of]
    averages = by_key({client: together([model_of[client].blocks[key] for key in keys]) for client in mine})
    return federation.workers[worker].call(AveragedClients.load, averages)
