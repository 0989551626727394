"""A federation as an algorithm sees it: its parties, the steps of a round, and who is there at its end."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar, cast

from raygan.errors import StoppedError
from raygan.parties.aggregator import ClusterAggregator
from raygan.parties.base import Server, Worker
from raygan.parties.layout import Layout
from raygan.runtime.backend import Backend, Handle, Reference
from raygan.runtime.steps import Cohort, Epochs, RoundLost, StepLoop, Submit
from raygan.wire.records import Lost

T = TypeVar("T")
WorkerT = TypeVar("WorkerT", bound=Worker)
ServerT = TypeVar("ServerT", bound=Server)


class Federation(Generic[WorkerT, ServerT]):
    """The parties of one algorithm while it runs its rounds.

    Args:
        steps: runs the steps of a round.
    """

    def __init__(self, backend: Backend, layout: Layout[Any], steps: StepLoop) -> None:
        self._backend, self._layout, self._steps = backend, layout, steps

    @property
    def workers(self) -> Mapping[int, Handle[WorkerT]]:
        """The workers that are there, by number."""
        return cast(Mapping[int, Handle[WorkerT]], self._backend.workers)

    @property
    def server(self) -> Handle[ServerT]:
        """The algorithm's server; for those that have one."""
        return cast(Handle[ServerT], self._backend.servers[0])

    def aggregators(self, count: int) -> Sequence[Handle[ClusterAggregator]]:
        """So many aggregators."""
        return self._backend.aggregators(count)

    def restart_aggregators(self) -> int:
        """New aggregators in the place of the lost ones; returns how many were lost."""
        return self._backend.restart_aggregators()

    def alive(self, handle: Handle[Any]) -> bool:
        """Whether a party answers."""
        return self._backend.alive(handle)

    def fetch(self, references: Sequence[Reference[T]], timeout_s: float | None = None) -> list[T | Lost]:
        """The small records behind references, in order; `Lost` where one is late or its party died."""
        return self._backend.fetch(references, timeout_s)

    def local_epochs(self, cohort: Cohort, submit: Submit) -> Epochs:
        """Clients that take part shuffle their images; then all steps of the round.

        Args:
            submit: submits one step of the algorithm.

        Raises:
            RoundLost: a server was lost.
        """
        started = time.perf_counter()
        for worker in self._backend.workers.values():
            worker.call(Worker.begin_round, cohort.round, cohort.clients)
        for server in self._backend.servers:
            server.call(Server.begin_round, cohort.round)
        taking_part = set(cohort.clients)
        idle = {plan.worker for plan in self._layout.workers if not set(plan.ids) & taking_part}
        epochs = self._steps.run(cohort, idle, submit)
        epochs.seconds = time.perf_counter() - started
        return epochs

    def check_in(self, cohort: Cohort, epochs: Epochs) -> dict[int, int]:
        """Client -> training images, of those that took part and are there with finite parameters.

        Raises:
            RoundLost: none is left.
            StoppedError: they are too few.
        """
        num_samples: dict[int, int] = {}
        workers = [worker for worker in self._backend.workers if worker not in epochs.late]
        answers = self.fetch([self._backend.workers[worker].call(Worker.check_in) for worker in workers])
        for worker, answer in zip(workers, answers, strict=True):
            if isinstance(answer, Lost):
                epochs.lost[worker] = answer.reason
            else:
                num_samples |= answer.num_images
                epochs.faults.extend(answer.faults)
        present = {client: num_samples[client] for client in cohort.clients if client in num_samples}
        _check_enough(present, cohort, epochs)
        return present


AnyFederation = Federation[Any, Any]


def _check_enough(present: Mapping[int, int], cohort: Cohort, epochs: Epochs) -> None:
    number = cohort.round + 1
    if not present and epochs.late and not epochs.lost:
        raise StoppedError(
            f"round {number}: every client missed the step's deadline (ray.step_deadline_s): stopped; "
            f"raise it above the seconds of a step"
        )
    if not present:
        raise RoundLost(next(iter([*epochs.lost.values(), *epochs.faults]), "no client took part in it"))
    if len(present) < cohort.min_clients:
        raise StoppedError(
            f"round {number} has {len(present)} of at least {cohort.min_clients} clients "
            f"(training.min_clients) at its end: stopped"
        )
