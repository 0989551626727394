"""Averages of clients' networks, and what clients take over of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from raygan.algorithms.base import Model, ServerState
from raygan.config.privacy import PrivacyConfig
from raygan.names import BlockKey
from raygan.parties.aggregator import ClusterAggregator
from raygan.parties.averaged import AveragedClients
from raygan.parties.base import Server
from raygan.parties.layout import Layout
from raygan.parties.masked import MaskedClients
from raygan.runtime.averages import Averages, average, collect, workers_of
from raygan.runtime.backend import Handle, Reference, by_key, together
from raygan.runtime.federation import Federation
from raygan.runtime.secure import SecureSums, share_secret
from raygan.secure import LEAST_HOLDERS
from raygan.wire.records import Lost, State

AveragedT = TypeVar("AveragedT", bound=AveragedClients[Any])
ServerT = TypeVar("ServerT", bound=Server)
MaskedT = TypeVar("MaskedT", bound=MaskedClients[Any])


class ClientAverages(Protocol):
    """Averages of clients' networks as they were when it was made."""

    @property
    def faults(self) -> Sequence[str]:
        """What the averages so far lacked, a line each."""

    @property
    def unsummed(self) -> Sequence[BlockKey]:
        """Blocks that too few held, and that therefore count as the body's."""

    def average(
        self,
        aggregator: Handle[ClusterAggregator],
        keys: Sequence[BlockKey],
        weights: Mapping[int, float],
        body: Reference[State | Lost] | None = None,
    ) -> Averages:
        """The blocks, averaged over clients by their weights, which sum to 1.

        Args:
            body: stands for the blocks that a client lacks; None: none lacks any.
        """

    def take_stock(self) -> None:
        """Fills in what the averages so far lacked, once they are there."""


class PlainAverages:
    """The aggregators are sent every client's own.

    Args:
        states: client -> what it holds.
    """

    def __init__(self, states: Mapping[int, Reference[State]]) -> None:
        self._states = states
        self.faults: Sequence[str] = ()
        self.unsummed: Sequence[BlockKey] = ()

    def average(
        self,
        aggregator: Handle[ClusterAggregator],
        keys: Sequence[BlockKey],
        weights: Mapping[int, float],
        body: Reference[State | Lost] | None = None,
    ) -> Averages:
        """As `ClientAverages`."""
        return average(aggregator, keys, weights, self._states, body)

    def take_stock(self) -> None:
        """Nothing: who is lost is told elsewhere, and everything is averaged."""


def begin_averages(
    federation: Federation[MaskedT, ServerT],
    layout: Layout[Any],
    clients: Collection[int],
    states: Callable[[MaskedT], Sequence[State]],
    settings: PrivacyConfig,
) -> ClientAverages:
    """What averages are made of, of these clients as they are now: their states, or sums that show nobody's.

    Args:
        states: the worker's method that returns them, client after client.
    """
    if settings.secure_aggregation:
        return SecureSums(federation, layout)
    return PlainAverages(collect(federation, layout, clients, states))


def tell_once(
    state: ServerState, told: Sequence[str], unsummed: Sequence[BlockKey]
) -> tuple[ServerState, tuple[str, ...]]:
    """The state that knows of these blocks, and a line about those of which nothing was told before."""
    names = [f"{network} {index}" for network, index in sorted(unsummed)]
    new = [name for name in names if name not in told]
    state = state.model_copy(update={"told": (*told, *new)})
    line = f"fewer than {LEAST_HOLDERS} of a cluster hold these blocks: they are in no sum, and count as the body's"
    if any(name.startswith("sealed") for name in new):
        line += "; sealed ones of D stay each client's own"
    return state, (f"{line}: {', '.join(new)} (privacy.secure_aggregation)",) if new else ()


def hand_secret(federation: Federation[MaskedT, ServerT], settings: PrivacyConfig) -> None:
    """Where D is hidden, every worker that is there has the clients' secret before it does what it is asked next."""
    if settings.hide_discriminator:
        share_secret(federation)


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
