"""Workers that are lost or were left out of a round: started again, let in again, or set aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from raygan.algorithms.base import Back, RoundResult
from raygan.errors import StoppedError
from raygan.run.checkpoints import Checkpoints
from raygan.run.events import Listener
from raygan.run.plan import Plan
from raygan.runtime.backend import Backend, Reference
from raygan.runtime.federation import AnyFederation
from raygan.runtime.limits import LIMITS
from raygan.runtime.steps import RoundLost
from raygan.wire.records import Lost


class Roster:
    """The workers of one run between its rounds."""

    def __init__(
        self,
        plan: Plan,
        checkpoints: Checkpoints,
        backend: Backend,
        federation: AnyFederation,
        listener: Listener,
    ) -> None:
        self._layout, self._config, self._algorithm = plan.layout, plan.config, plan.algorithm
        self._checkpoints, self._backend, self._federation = checkpoints, backend, federation
        self._listener = listener
        self._losses: Counter[int] = Counter()
        """Worker -> how often it was lost since it last ended a round."""
        self._counted: set[int] = set()
        """Workers whose loss in this round is counted."""
        self._awaited: set[int] = set()
        """Workers that were started again and have not joined yet."""
        self._patient = False
        """Whether somebody has been started since they were last waited for."""
        self._rejoining: dict[int, Reference[Lost | None]] = {}
        """Worker -> whether it has taken over an average, since the last checkpoint."""
        self.given_up: set[int] = set()
        """Workers that are set aside."""

    def after_round(self, result: RoundResult) -> None:
        """Lost workers are started again, and everybody who is not in the round's average takes it over.

        Raises:
            StoppedError: too few clients are left.
        """
        lost, present = result.epochs.lost, self._backend.workers
        for worker in [worker for worker in self._losses if worker in present and worker not in lost]:
            del self._losses[worker]  # who ends a round begins anew
        self._counted = set()
        for worker, reason in lost.items():
            self._replace(worker, reason)
        self._let_in(result)
        self._rejoin(result)

    def lost_while_saving(self, workers: Iterable[int], result: RoundResult) -> None:
        """As `after_round`, for workers that were lost since then."""
        for worker in workers:
            result.epochs.lost.setdefault(worker, "lost while saving")
            self._replace(worker, "lost while saving")
        self._let_in(result)

    def start_again(self, workers: Iterable[int]) -> None:
        """New actors for these workers, at no round's state yet; returns when they, or some at least, are there.

        Raises:
            StoppedError: too few clients are left.
        """
        self._rejoining = {}
        for worker in list(workers):
            self._restart(worker)
        self._join()

    def give_up(self, worker: int) -> None:
        """Sets a worker aside for good."""
        self._backend.set_aside(worker)
        self._rejoining.pop(worker, None)
        self._awaited.discard(worker)
        self.given_up.add(worker)

    def check_rejoined(self) -> None:
        """Waits until those who were to take over an average have it.

        Raises:
            RoundLost: one that is alive has none, which tells of a lost aggregator.
        """
        workers = list(self._rejoining)
        answers = self._backend.fetch([self._rejoining.pop(worker) for worker in workers])
        for worker, answer in zip(workers, answers, strict=True):
            if isinstance(answer, Lost) and self._backend.alive(self._backend.workers[worker]):
                raise RoundLost(answer.reason)

    def _replace(self, worker: int, reason: str) -> None:
        """Starts a lost worker again; sets it aside if it keeps dying."""
        if worker not in self._counted:
            self._losses[worker] += 1
            self._counted.add(worker)
        name = self._layout.workers[worker].name
        if self._losses[worker] > self._config.ray.max_restarts:
            self._set_aside(worker, f"lost {self._losses[worker]} times in a row ({reason})")
            return
        self._listener.on_fault(f"{name} was lost ({reason}); it takes part again once it is back")
        self._restart(worker)

    def _restart(self, worker: int) -> None:
        self._backend.restart_worker(worker)
        self._rejoining.pop(worker, None)
        self._awaited.add(worker)
        self._patient = True

    def _let_in(self, result: RoundResult) -> None:
        """Those that are back take over what they are to have."""
        for worker in self._join():
            self._take_over(worker, self._layout.workers[worker].ids, result, restarted=True)

    def _join(self) -> list[int]:
        """The workers that have joined: waits until there is one at least, since a round needs somebody."""
        joined = self._look()
        while self._awaited and not self._backend.workers:
            self._patient = True
            joined += self._look()
        return joined

    def _look(self) -> list[int]:
        """The workers that have joined by now; an unfit one is set aside, one that died is started again."""
        ended = self._backend.join(LIMITS.join_s if self._patient else LIMITS.look_s) if self._awaited else {}
        self._patient = False
        self._awaited -= ended.keys()
        for worker, fault in ended.items():
            if isinstance(fault, Lost):
                self._counted.discard(worker)
                self._replace(worker, fault.reason)
            elif fault is not None:
                self._set_aside(worker, f"started again and found unfit ({fault.where}: {fault.found})")
        return [worker for worker, fault in ended.items() if fault is None]

    def _set_aside(self, worker: int, reason: str) -> None:
        name, needed = self._layout.workers[worker].name, self._config.training.min_clients
        left = [
            plan.client
            for plan in self._layout.clients
            if self._layout.worker_of[plan.client] not in {worker, *self.given_up}
        ]
        if len(left) < needed:
            raise StoppedError(
                f"{name} was {reason}, and without it {len(left)} of at least {needed} clients "
                f"(training.min_clients) are left: stopped"
            )
        self._listener.on_fault(f"{name} is set aside: {reason}")
        self.give_up(worker)

    def _rejoin(self, result: RoundResult) -> None:
        """Clients that are not in the round's models, late ones and those that were not drawn, are brought up to date."""
        served = result.served
        for worker in self._backend.workers:
            left_out = [client for client in self._layout.workers[worker].ids if client not in served]
            if left_out and worker not in self._rejoining:
                self._take_over(worker, left_out, result, restarted=False)

    def _take_over(
        self, worker: int, clients: Sequence[int], result: RoundResult, *, restarted: bool
    ) -> None:
        last = self._checkpoints.last_whole(result.cohort.round) if restarted else 0
        back = Back(worker, clients, restarted, None)
        if last:
            checkpoint, kind = self._checkpoints.of(last - 1), self._algorithm.model_kind
            without = checkpoint.manifest().without(kind, len(self._layout.clients))
            back = Back(worker, clients, restarted, str(checkpoint.path), without)
        answer = self._algorithm.rejoin(self._federation, result, back)
        if answer is not None:
            self._rejoining[worker] = answer
