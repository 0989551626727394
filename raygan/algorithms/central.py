"""Central training: all images in one place, which no federation allows. The line that sharing can reach at best.

Each step is one D update and one G update on the minibatches of all clients, merged: the same minibatches in the same
order, and as many steps, as under any other algorithm. `central.by: domain` (the upper line) trains a pair of networks
for each domain, which nobody but a measurement knows; `by: all` trains one for all.

What leaves a client: its images, once. They are not counted, since they do not travel: each worker reads the images of
all its clients where it is.
"""

from __future__ import annotations

from functools import cached_property

from raygan.algorithms.base import Back, Model, RoundResult, ServerState, Task
from raygan.algorithms.fleet import measured_fleet
from raygan.algorithms.whole import WholeAlgorithm
from raygan.config.schema import CentralConfig
from raygan.cuts.fleet import FleetCost
from raygan.errors import ConfigError
from raygan.parties.base import Server
from raygan.parties.layout import ClientPlan, WorkerPlan
from raygan.runtime.backend import Reference
from raygan.runtime.federation import Federation
from raygan.runtime.steps import Cohort
from raygan.whole.pooled import PooledClients
from raygan.wire.records import Lost

Pooled = Federation[PooledClients, Server]


class Central(WholeAlgorithm[PooledClients]):
    """A worker for each pool of images; its networks are the model of all whose images are in it."""

    name = "central"
    discloses = "its images"
    models_from = "client"
    reads = frozenset({"training.fake_labels"})
    worker_type = PooledClients

    @classmethod
    def deal(cls, task: Task) -> tuple[WorkerPlan[ClientPlan], ...]:
        """One worker for each domain, or one for all.

        Raises:
            ConfigError: images that are to be pooled are on different sites.
        """
        by_domain = (task.config.central or CentralConfig()).by == "domain"
        pools: dict[int, list[ClientPlan]] = {}
        for plan in task.clients:
            pools.setdefault(plan.data.domain_index if by_domain else 0, []).append(plan)
        for pool in pools.values():
            if any(plan.data.domain.labels != pool[0].data.domain.labels for plan in pool):
                found = "central training of data on different sites"
                raise ConfigError("algorithm", found, "use central.by: domain, or another algorithm")
        return tuple(WorkerPlan(number, tuple(pool)) for number, pool in enumerate(pools.values()))

    @cached_property
    def cost(self) -> FleetCost:
        """All of it in one place."""
        return measured_fleet(self._config, self.layout.spec).central()

    def round(self, federation: Pooled, state: ServerState, cohort: Cohort) -> RoundResult:
        """Local epochs of every pool."""
        epochs = self.local_epochs(federation, cohort)
        present = federation.check_in(cohort, epochs)
        models: dict[int, Model] = {}
        for worker, handle in federation.workers.items():
            blocks = handle.call_many(len(self.keys), PooledClients.networks)
            members = tuple(client for client in self.layout.workers[worker].ids if client in present)
            if members:
                models[worker] = Model(worker, members, dict(zip(self.keys, blocks, strict=True)))
        serves = dict(sorted(self.layout.worker_of.items()))
        state = ServerState(serves=serves, num_models=len(self.layout.workers))
        return RoundResult(cohort, epochs, state, dict(sorted(models.items())))

    def rejoin(self, federation: Pooled, result: RoundResult, back: Back) -> Reference[Lost | None] | None:
        """A new worker has its networks from the last checkpoint."""
        if not back.restarted or back.checkpoint is None:
            return None
        return federation.workers[back.worker].call(PooledClients.restore, back.checkpoint, back.sources)
