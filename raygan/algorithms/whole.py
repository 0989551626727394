"""What algorithms have in common whose clients train both networks whole: workers, and the local epochs."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Generic, TypeVar

from raygan.algorithms.base import Algorithm, Task
from raygan.nn.network import build_networks
from raygan.parties.base import Server
from raygan.parties.layout import Layout, deal_to_workers
from raygan.parties.spec import Parties, PartySpec
from raygan.runtime.federation import Federation
from raygan.runtime.steps import Cohort, Epochs, Submitted
from raygan.simulation.threads import worker_threads
from raygan.whole.clients import WholeClients
from raygan.wire.records import StepId

WholeT = TypeVar("WholeT", bound=WholeClients)


class WholeAlgorithm(Algorithm[WholeT, Server], Generic[WholeT]):
    """A worker for each device, and no server. How a round goes on after the local epochs is a subclass's."""

    worker_type: type[WholeT]

    def __init__(self, task: Task) -> None:
        self._config = task.config
        self.layout = Layout(deal_to_workers(task.clients, task.clients_per_actor), task.spec)
        networks = build_networks(task.spec, task.config.model.blocks, task.config.seed)
        self.keys = tuple(networks.blocks)

    @classmethod
    def plan(cls, task: Task) -> WholeAlgorithm[WholeT]:
        """Deals the clients to workers."""
        return cls(task)

    def parties(self) -> Parties:
        """A worker for each device."""
        layout, config = self.layout, self._config
        threads = worker_threads(len(layout.workers), config)
        workers = tuple(
            PartySpec(plan.name, partial(self.worker_type, plan, layout.spec, config), threads)
            for plan in layout.workers
        )
        return Parties(layout, workers, (), 1)

    def local_epochs(self, federation: Federation[WholeT, Server], cohort: Cohort) -> Epochs:
        """Each client trains its own networks.

        Raises:
            RoundLost: none is left.
        """

        def step(number: StepId, without: Collection[int]) -> Submitted:
            workers = {w: handle for w, handle in federation.workers.items() if w not in without}
            return Submitted(number, {w: h.call(WholeClients.train, number) for w, h in workers.items()})

        return federation.local_epochs(cohort, step)
