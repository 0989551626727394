"""A federation as an algorithm sees it: its parties, the steps of a round, and who is there at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar, cast, overload

from raygan.errors import StoppedError
from raygan.parties.aggregator import ClusterAggregator
from raygan.parties.base import Server, Worker
from raygan.parties.layout import Layout
from raygan.runtime.backend import Backend, Handle, Reference
from raygan.runtime.recovery import Missing, decide
from raygan.runtime.steps import Cohort, Epochs, RoundLost, StepLoop, Submit, needed
from raygan.wire.records import Lost

T = TypeVar("T")
WorkerT = TypeVar("WorkerT", bound=Worker)
ServerT = TypeVar("ServerT", bound=Server)
A = TypeVar("A")
B = TypeVar("B")


class Federation(Generic[WorkerT, ServerT]):
    """The parties of one algorithm while it runs its rounds."""

    def __init__(self, backend: Backend, layout: Layout[Any], steps: StepLoop) -> None:
        self._backend, self._layout, self._steps = backend, layout, steps

    @property
    def workers(self) -> Mapping[int, Handle[WorkerT]]:
        """The workers that are there, by number."""
        return cast(Mapping[int, Handle[WorkerT]], self._backend.workers)

    @property
    def server(self) -> Handle[ServerT]:
        """The algorithm's server, or the first of its replicas; for those that have one."""
        return cast(Handle[ServerT], self._backend.servers[0])

    @property
    def servers(self) -> Sequence[Handle[ServerT]]:
        """All of them: one, or the replicas or sections of one."""
        return cast(Sequence[Handle[ServerT]], self._backend.servers)

    @overload
    def of_all_servers(self, method: Callable[[ServerT, A], T], a: A | Reference[A], /) -> Sequence[Reference[T]]: ...
    @overload
    def of_all_servers(
        self, method: Callable[[ServerT, A, B], T], a: A | Reference[A], b: B | Reference[B], /
    ) -> Sequence[Reference[T]]: ...
    def of_all_servers(self, method: Callable[..., Any], /, *arguments: Any) -> Any:
        """Calls a method of every server that returns one record; they may wait for each other in it."""
        calls = [(1, arguments)] * len(self._backend.servers)
        return [reference for (reference,) in self._backend.lockstep(method.__name__, calls)]

    def lockstep(self, method: str, calls: Sequence[tuple[int, Sequence[Any]]]) -> Sequence[Sequence[Reference[Any]]]:
        """As `Backend.lockstep`."""
        return self._backend.lockstep(method, calls)

    def aggregators(self, count: int) -> Sequence[Handle[ClusterAggregator]]:
        """So many aggregators."""
        return self._backend.aggregators(count)

    def averaged(self, work: Callable[[], T]) -> T:
        """What `work` makes of aggregators' averages: it is done again where one of them was lost over it.

        Raises:
            RoundLost: it was lost too often, or something else was lost over it.
        """
        times = 0
        while True:
            try:
                return work()
            except RoundLost as lost:
                times += 1
                if not self._backend.restart_aggregators():
                    raise
                if decide(Missing("aggregator", "round_end", "dead", str(lost)), times) != "repeat":
                    raise

    def loaded(
        self, servers: Sequence[Reference[Lost | None]], workers: Mapping[int, Reference[Lost | None]]
    ) -> dict[int, Lost]:
        """Waits until all have taken over their averages.

        Returns:
            Worker -> why, of those that were lost before.

        Raises:
            RoundLost: a server was lost, or one that is alive has none, which tells of a lost aggregator.
        """
        answers = self.fetch([*servers, *workers.values()])
        for answer in answers[: len(servers)]:
            needed(answer, "round_end")
        of_workers = zip(workers, answers[len(servers) :], strict=True)
        lost = {worker: answer for worker, answer in of_workers if isinstance(answer, Lost)}
        for worker, answer in lost.items():
            if self._backend.alive(self._backend.workers[worker]):
                raise RoundLost(Missing("round", "round_end", "dead", answer.reason))
        return lost

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
        epochs = self.begin_round(cohort)
        self.train(cohort, range(cohort.num_steps), submit, epochs)
        return epochs

    def begin_round(self, cohort: Cohort) -> Epochs:
        """Clients that take part shuffle their images; returns what the round's steps are to fill in."""
        for worker in self._backend.workers.values():
            worker.call(Worker.begin_round, cohort.round, cohort.clients)
        for server in self._backend.servers:
            server.call(Server.begin_round, cohort.round)
        return Epochs()

    def train(self, cohort: Cohort, steps: range, submit: Submit, epochs: Epochs) -> None:
        """Some steps of the round, for algorithms that do more between them; arguments and errors as `local_epochs`."""
        started = time.perf_counter()
        taking_part = set(cohort.clients)
        idle = {plan.worker for plan in self._layout.workers if not set(plan.ids) & taking_part}
        self._steps.run(cohort.round, steps, idle, submit, epochs)
        epochs.seconds += time.perf_counter() - started

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
                epochs.lost[worker] = answer
                continue
            num_samples |= answer.num_images
            for client, lost in answer.lost.items():
                if decide(Missing.lost("worker", "round_end", lost)) == "sit_out":
                    epochs.faults.append(f"client-{client:02d}: {lost.reason}")
        present = {client: num_samples[client] for client in cohort.clients if client in num_samples}
        if len(present) < cohort.min_clients:
            missing = _too_few(len(present), cohort, epochs)
            if decide(missing) == "stop":
                raise StoppedError(missing.reason)
            raise RoundLost(missing)
        return present


AnyFederation = Federation[Any, Any]


def _too_few(num_present: int, cohort: Cohort, epochs: Epochs) -> Missing:
    name = f"round {cohort.round + 1}"
    if num_present:
        found = f"{name} has {num_present} of at least {cohort.min_clients} clients (training.min_clients)"
        return Missing("round", "round_end", "too_few", f"{found} at its end: stopped")
    for lost in epochs.lost.values():
        return Missing.lost("round", "round_end", lost)
    if epochs.late:
        found = f"{name}: every client missed the step's deadline (ray.step_deadline_s): stopped"
        return Missing("round", "round_end", "late", f"{found}; raise it above the seconds of a step")
    return Missing("round", "round_end", "unfit", next(iter(epochs.faults), "no client took part in it"))
