"""Local training: both networks whole on each client, nothing shared. The line below which sharing does not pay.

Every client trains on its own minibatches, in the same order as under any other algorithm. What leaves a client is its
finished model, to be scored and sampled.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from raygan.algorithms.base import Algorithm, Back, Model, RoundResult, ServerState, Task
from raygan.nn.network import build_networks
from raygan.parties.base import Server
from raygan.parties.layout import Layout, deal_to_workers
from raygan.parties.spec import Parties, PartySpec
from raygan.runtime.backend import Reference
from raygan.runtime.federation import Federation
from raygan.runtime.steps import Cohort, Submitted
from raygan.simulation.threads import worker_threads
from raygan.whole.worker import WholeClients
from raygan.wire.records import Lost, StepId

Whole = Federation[WholeClients, Server]


class Local(Algorithm[WholeClients, Server]):
    """Every client by itself: as many models as clients."""

    name = "local"
    models_from = "client"

    def __init__(self, task: Task) -> None:
        self._config = task.config
        self.layout = Layout(deal_to_workers(task.clients, task.clients_per_actor), task.spec)
        networks = build_networks(task.spec, task.config.model.blocks, task.config.seed)
        self._keys = tuple(networks.blocks)

    @classmethod
    def plan(cls, task: Task) -> Local:
        """Deals the clients to workers."""
        return cls(task)

    def parties(self) -> Parties:
        """A worker for each device."""
        layout, config = self.layout, self._config
        threads = worker_threads(len(layout.workers), config)
        workers = tuple(
            PartySpec(plan.name, partial(WholeClients, plan, layout.spec, config), threads)
            for plan in layout.workers
        )
        return Parties(layout, workers, (), 1)

    def round(self, federation: Whole, state: ServerState, cohort: Cohort) -> RoundResult:
        """Local epochs; each client's networks are its model."""

        def step(number: StepId, without: Collection[int]) -> Submitted:
            workers = {w: handle for w, handle in federation.workers.items() if w not in without}
            return Submitted(number, {w: h.call(WholeClients.train, number) for w, h in workers.items()})

        epochs = federation.local_epochs(cohort, step)
        present = federation.check_in(cohort, epochs)
        models: dict[int, Model] = {}
        for worker, handle in federation.workers.items():
            ids, count = self.layout.workers[worker].ids, len(self._keys)
            blocks = handle.call_many(len(ids) * count, WholeClients.networks)
            for place, client in enumerate(ids):
                own = dict(zip(self._keys, blocks[place * count : (place + 1) * count], strict=True))
                if client in present:
                    models[client] = Model(client, (client,), own)
        everybody = range(len(self.layout.clients))
        state = ServerState(serves=dict(zip(everybody, everybody, strict=True)), num_models=len(everybody))
        return RoundResult(cohort, epochs, state, dict(sorted(models.items())))

    def rejoin(self, federation: Whole, result: RoundResult, back: Back) -> Reference[Lost | None] | None:
        """Who was late or not drawn has kept its networks; a new worker has them from the last checkpoint."""
        if not back.restarted or back.checkpoint is None:
            return None
        return federation.workers[back.worker].call(WholeClients.restore, back.checkpoint, back.without)
