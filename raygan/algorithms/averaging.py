"""Averages on their way down: what clients take over of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from raygan.algorithms.base import Model
from raygan.names import BlockKey
from raygan.parties.averaged import AveragedClients
from raygan.parties.base import Server
from raygan.parties.layout import Layout
from raygan.runtime.averages import workers_of
from raygan.runtime.backend import Reference, by_key, together
from raygan.runtime.federation import Federation
from raygan.wire.records import Lost

AveragedT = TypeVar("AveragedT", bound=AveragedClients[Any])
ServerT = TypeVar("ServerT", bound=Server)


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
