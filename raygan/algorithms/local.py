"""Local training: both networks whole on each client, nothing shared. The line below which sharing does not pay.

Every client trains on its own minibatches, in the same order as under any other algorithm. What leaves a client is its
finished model, to be scored and sampled.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from raygan.algorithms.base import Back, Model, RoundResult, ServerState
from raygan.algorithms.whole import WholeAlgorithm
from raygan.parties.base import Server
from raygan.runtime.backend import Reference
from raygan.runtime.federation import Federation
from raygan.runtime.steps import Cohort, Epochs
from raygan.whole.clients import WholeClients
from raygan.wire.records import Lost

Whole = Federation[WholeClients, Server]


class Local(WholeAlgorithm[WholeClients]):
    """Every client by itself: as many models as clients."""

    name = "local"
    discloses: ClassVar[str | None] = None
    models_from = "client"
    worker_type = WholeClients

    def round(self, federation: Whole, state: ServerState, cohort: Cohort) -> RoundResult:
        """Local epochs; each client's networks are its model."""
        epochs = self.local_epochs(federation, cohort)
        present = federation.check_in(cohort, epochs)
        self.share(federation, cohort, epochs, present)
        models: dict[int, Model] = {}
        for worker, handle in federation.workers.items():
            ids, count = self.layout.workers[worker].ids, len(self.keys)
            blocks = handle.call_many(len(ids) * count, WholeClients.networks)
            for place, client in enumerate(ids):
                own = dict(zip(self.keys, blocks[place * count : (place + 1) * count], strict=True))
                if client in present:
                    models[client] = Model(client, (client,), own)
        everybody = self.layout.ids
        state = ServerState(serves=dict(zip(everybody, everybody, strict=True)), num_models=len(everybody))
        return RoundResult(cohort, epochs, state, dict(sorted(models.items())))

    def share(self, federation: Whole, cohort: Cohort, epochs: Epochs, present: Mapping[int, int]) -> None:
        """What clients share at a round's end: nothing.

        Args:
            present: client -> training images, of those that are there.
        """

    def rejoin(self, federation: Whole, result: RoundResult, back: Back) -> Reference[Lost | None] | None:
        """Who was late or not drawn has kept its networks; a new worker has them from the last checkpoint."""
        if not back.restarted or back.checkpoint is None:
            return None
        return federation.workers[back.worker].call(WholeClients.restore, back.checkpoint, back.sources)
