"""Workers that are lost or were left out of a round: started again, let in again, or set aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from raygan.algorithms.base import Back, RoundResult
from raygan.errors import StoppedError
from raygan.run.checkpoints import Checkpoints
from raygan.run.events import Listener
from raygan.run.joining import state_after
from raygan.run.plan import Plan
from raygan.runtime.backend import Backend, Reference
from raygan.runtime.federation import AnyFederation
from raygan.runtime.limits import limits_of
from raygan.runtime.recovery import Missing, Phase, decide
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
        self._listener, self._limits = listener, limits_of(plan.config)
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
        for worker, found in lost.items():
            self._replace(worker, "round_end", found)
        self._let_in(result)
        self._rejoin(result)

    def lost_while_saving(self, lost: Mapping[int, Lost], result: RoundResult) -> None:
        """As `after_round`, for workers that were lost since then."""
        for worker, found in lost.items():
            result.epochs.lost.setdefault(worker, found)
            self._replace(worker, "checkpoint", found)
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
                raise RoundLost(Missing.lost("aggregator", "join", answer))

    def _replace(self, worker: int, phase: Phase, lost: Lost) -> None:
        """Starts a lost worker again, or sets it aside."""
        if worker not in self._counted:
            self._losses[worker] += 1
            self._counted.add(worker)
        name, times = self._layout.workers[worker].name, self._losses[worker]
        if decide(Missing.lost("worker", phase, lost), times, self._limits) == "restart":
            self._listener.on_fault(f"{name} was lost ({lost.reason}); it takes part again once it is back")
            self._restart(worker)
        elif lost.why == "unfit":
            self._set_aside(worker, phase, f"started again and found unfit ({lost.reason})")
        else:
            self._set_aside(worker, phase, f"lost {times} times in a row ({lost.reason})")

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
        """The workers that have joined: a round needs one at least."""
        joined = self._look()
        while self._awaited:
            missing = Missing("worker" if self._backend.workers else "round", "join", "late")
            if decide(missing) != "wait":
                break
            self._patient = True
            joined += self._look()
        return joined

    def _look(self) -> list[int]:
        """The workers that have joined by now; an unfit one is set aside, one that died is started again."""
        limits = self._limits
        ended = self._backend.join(limits.join_s if self._patient else limits.look_s) if self._awaited else {}
        self._patient = False
        self._awaited -= ended.keys()
        for worker, fault in ended.items():
            if fault is not None:
                self._counted.discard(worker)
                lost = fault if isinstance(fault, Lost) else Lost(f"{fault.where}: {fault.found}", "unfit")
                self._replace(worker, "join", lost)
        return [worker for worker, fault in ended.items() if fault is None]

    def _set_aside(self, worker: int, phase: Phase, reason: str) -> None:
        name, needed = self._layout.workers[worker].name, self._config.training.min_clients
        gone = {worker, *self.given_up}
        left = sum(len(plan.ids) for plan in self._layout.workers if plan.worker not in gone)
        found = f"{name} was {reason}, and without it {left} of at least {needed} clients"
        missing = Missing("round", phase, "too_few", f"{found} (training.min_clients) are left: stopped")
        if left < needed and decide(missing) == "stop":
            raise StoppedError(missing.reason)
        self._listener.on_fault(f"{name} is set aside: {reason}")
        self.give_up(worker)

    def _rejoin(self, result: RoundResult) -> None:
        """Clients that are not in the round's models, late ones and those that were not drawn, are brought up to date."""
        served = result.served
        for worker in self._backend.workers:
            left_out = [client for client in self._layout.workers[worker].ids if client not in served]
            if left_out and worker not in self._rejoining:
                self._take_over(worker, left_out, result, restarted=False)

    def _take_over(self, worker: int, clients: Sequence[int], result: RoundResult, *, restarted: bool) -> None:
        last = self._checkpoints.last_whole(result.cohort.round) if restarted else 0
        back = Back(worker, clients, restarted, None)
        if last:
            checkpoint, kind = self._checkpoints.of(last - 1), self._algorithm.model_kind
            manifest = checkpoint.manifest()
            state = state_after(manifest, self._algorithm.init(), self._layout)
            sources = manifest.sources(kind, state.serves, self._layout.workers[worker].ids)
            back = Back(worker, clients, restarted, str(checkpoint.path), sources)
        answer = self._algorithm.rejoin(self._federation, result, back)
        if answer is not None:
            self._rejoining[worker] = answer
