"""What algorithms have in common whose clients train both networks whole: workers, and the local epochs."""

from __future__ import annotations

from collections.abc import Collection
from functools import cached_property
from typing import Any, Generic, TypeVar

from raygan.algorithms.base import Algorithm, Task
from raygan.algorithms.fleet import measured_fleet, parties_of
from raygan.cuts.fleet import FleetCost
from raygan.names import with_averages, with_sealed
from raygan.nn.network import build_networks
from raygan.parties.base import Server
from raygan.parties.layout import ClientPlan, Layout, WorkerPlan, deal_to_workers
from raygan.parties.spec import Parties
from raygan.runtime.federation import Federation
from raygan.runtime.steps import Cohort, Epochs, Submit, Submitted
from raygan.whole.worker import TrainingClients
from raygan.wire.records import StepId

WholeT = TypeVar("WholeT", bound=TrainingClients[Any])


class WholeAlgorithm(Algorithm[WholeT, Server], Generic[WholeT]):
    """A worker for each device, and no server. How a round goes on after the local epochs is a subclass's."""

    reads = frozenset({"devices.emulate", "training.fake_labels"})
    worker_type: type[WholeT]

    def __init__(self, task: Task) -> None:
        self._config = task.config
        self.layout = Layout(self.deal(task), task.spec)
        networks = build_networks(task.spec, task.config.model.blocks, task.config.seed)
        keys = with_averages(networks.blocks, task.config.training.average is not None)
        self.keys = with_sealed(keys, task.config.privacy.hide_discriminator)

    @classmethod
    def plan(cls, task: Task) -> WholeAlgorithm[WholeT]:
        """Deals the clients to workers."""
        return cls(task)

    @classmethod
    def deal(cls, task: Task) -> tuple[WorkerPlan[ClientPlan], ...]:
        """The workers: clients of equal device and site together, as many as are to be in one."""
        return deal_to_workers(task.clients, task.clients_per_actor)

    @cached_property
    def cost(self) -> FleetCost:
        """Both networks on each client; nothing crosses in a step."""
        return measured_fleet(self._config, self.layout.spec).whole()

    def parties(self) -> Parties:
        """A worker for each device."""
        return parties_of(self.layout, self._config, self.worker_type, self.cost)

    def local_epochs(self, federation: Federation[WholeT, Server], cohort: Cohort) -> Epochs:
        """All steps of a round; errors as `Federation.local_epochs`."""
        return federation.local_epochs(cohort, self.submitter(federation))

    def submitter(self, federation: Federation[WholeT, Server]) -> Submit:
        """Submits one step of every worker."""

        def step(number: StepId, without: Collection[int]) -> Submitted:
            workers = {w: handle for w, handle in federation.workers.items() if w not in without}
            return Submitted(number, {w: h.call(self.worker_type.train, number) for w, h in workers.items()})

        return step
