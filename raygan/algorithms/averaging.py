"""What algorithms have in common that average both networks of clients: states go up, averages come down."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Generic, TypeVar

from raygan.algorithms.base import Back, Model, RoundResult
from raygan.algorithms.whole import WholeAlgorithm
from raygan.names import BlockKey
from raygan.parties.aggregator import ClusterAggregator
from raygan.parties.base import Server
from raygan.runtime.backend import Handle, Reference, by_key, together
from raygan.runtime.federation import Federation
from raygan.whole.averaged import AveragedClients
from raygan.wire.records import BlockAverage, Lost, State

AveragedT = TypeVar("AveragedT", bound=AveragedClients)
Averages = Mapping[BlockKey, Reference[BlockAverage | Lost]]


class AveragingAlgorithm(WholeAlgorithm[AveragedT], Generic[AveragedT]):
    """Who is averaged with whom, and when, is a subclass's."""

    def states(
        self, federation: Federation[AveragedT, Server], clients: Collection[int]
    ) -> dict[int, Reference[State]]:
        """Client -> its networks, of these clients and of those that share their workers."""
        states: dict[int, Reference[State]] = {}
        for worker in self.workers_of(federation, clients):
            ids = self.layout.workers[worker].ids
            asked = federation.workers[worker].call_many(len(ids), self.worker_type.states)
            states |= zip(ids, asked, strict=True)
        return states

    def average(
        self,
        aggregator: Handle[ClusterAggregator],
        weights: Mapping[int, float],
        states: Mapping[int, Reference[State]],
    ) -> Averages:
        """Both networks, averaged over clients by their weights, which sum to 1."""
        members, no_body = together([states[client] for client in weights]), State(0, {})
        asked = (self.keys, list(weights.values()), no_body, members)
        return dict(
            zip(self.keys, aggregator.call_many(len(self.keys), ClusterAggregator.average, *asked), strict=True)
        )

    def load(self, federation: Federation[AveragedT, Server], models: Iterable[Model]) -> dict[int, Lost]:
        """Each client of a model takes it over.

        Returns:
            Worker -> why, of those that were lost before.

        Raises:
            RoundLost: an average was lost.
        """
        model_of = {client: model for model in models for client in model.clients}
        answers = {w: self._take_over(federation, w, model_of) for w in self.workers_of(federation, model_of)}
        return federation.loaded([], answers)

    def rejoin(
        self, federation: Federation[AveragedT, Server], result: RoundResult, back: Back
    ) -> Reference[Lost | None]:
        """Who was late, lost or not drawn takes over the average."""
        models = {client: result.models[result.state.serves[client]] for client in back.clients}
        return self._take_over(federation, back.worker, models)

    def workers_of(self, federation: Federation[AveragedT, Server], clients: Collection[int]) -> list[int]:
        """The workers that hold some of these clients."""
        return [worker for worker in federation.workers if set(clients) & set(self.layout.workers[worker].ids)]

    def _take_over(
        self, federation: Federation[AveragedT, Server], worker: int, model_of: Mapping[int, Model]
    ) -> Reference[Lost | None]:
        mine = [client for client in self.layout.workers[worker].ids if client in model_of]
        averages = by_key({client: model_of[client].all_blocks for client in mine})
        return federation.workers[worker].call(self.worker_type.load, averages)
