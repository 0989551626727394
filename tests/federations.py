"""Small federations that are driven step by step, in this process or as actors."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from functools import partial

from raygan.algorithms.huscf import split_plan
from raygan.parties.base import Server, Worker
from raygan.parties.evaluator import Evaluator, EvaluatorPlan
from raygan.run.plan import Plan
from raygan.runtime.backend import Backend
from raygan.runtime.federation import Federation
from raygan.runtime.in_process import InProcessBackend, LocalHandle
from raygan.runtime.steps import Cohort, Deadline, StepLoop, Submitted
from raygan.split.body import SharedBody
from raygan.split.layout import Layout
from raygan.split.submit import train_step
from raygan.split.worker import SplitClients
from raygan.wire.records import Lost, State, StepId, StepReport


@dataclass(frozen=True)
class Started:
    """A split federation whose parties are up."""

    plan: Plan
    backend: Backend

    @property
    def layout(self) -> Layout:
        """Who is where, with which cuts."""
        return split_plan(self.plan.algorithm).layout

    @property
    def federation(self) -> Federation[SplitClients, SharedBody]:
        """As the algorithm sees it."""
        steps = StepLoop(self.backend, lambda *_: None, Deadline(None), 1)
        return Federation(self.backend, self.layout, steps)

    def begin_round(self, number: int, clients: Collection[int] | None = None) -> None:
        """As `Federation.local_epochs` begins."""
        for handle in self.backend.workers.values():
            handle.call(Worker.begin_round, number, clients)
        for server in self.backend.servers:
            server.call(Server.begin_round, number)

    def step(self, step: StepId, without: Collection[int] = ()) -> Submitted:
        """Submits one split step."""
        return train_step(self.federation, self.layout, step, without)

    def reports(self, step: StepId, without: Collection[int] = ()) -> list[StepReport]:
        """One split step, to its end: what the workers tell of it."""
        found = self.backend.fetch(list(self.step(step, without).workers.values()))
        assert not any(isinstance(report, Lost) for report in found)
        return [report for report in found if isinstance(report, StepReport)]

    def cohort(self, number: int, num_steps: int) -> Cohort:
        """Everybody, for one round."""
        return Cohort(number, num_steps, tuple(plan.client for plan in self.layout.clients), 1)

    def states(self) -> dict[int, State]:
        """Client -> what it holds."""
        found: dict[int, State] = {}
        for worker in self.layout.workers:
            handle = self.federation.workers[worker.worker]
            references = handle.call_many(len(worker.ids), SplitClients.state)
            for client, state in zip(worker.ids, self.backend.fetch(references), strict=True):
                assert isinstance(state, State)
                found[client] = state
        return found

    def party_of(self, client: int) -> SplitClients:
        """The worker that holds a client; in process."""
        handle = self.backend.workers[self.layout.worker_of[client]]
        assert isinstance(handle, LocalHandle)
        party = handle._party
        assert isinstance(party, SplitClients)
        return party

    def body_state(self) -> State:
        """What the body holds."""
        (state,) = self.backend.fetch([self.federation.server.call(SharedBody.state)])
        assert isinstance(state, State)
        return state

    def close(self) -> None:
        """Ends every party."""
        self.backend.close()


def no_evaluator(plan: Plan) -> EvaluatorPlan:
    """Of an evaluator that is never asked."""
    return EvaluatorPlan(plan.config.data, plan.shape, plan.layout.spec, None, 0, 10, None, None)


def in_process(plan: Plan) -> Started:
    """The plan's federation in this process."""
    evaluator = partial(Evaluator, no_evaluator(plan))
    return Started(plan, InProcessBackend(plan.algorithm.parties(), plan.config, evaluator))


def on_ray(plan: Plan) -> Started:
    """The plan's federation as actors of the Ray that is there."""
    from raygan.runtime.ray.backend import RayBackend

    return Started(plan, RayBackend(plan.algorithm.parties(), plan.config, no_evaluator(plan)))
