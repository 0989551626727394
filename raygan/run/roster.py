"""Client workers that are lost or were left out of a round: started again, let in again, or set aside."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from raygan.algorithms.huscf import RoundLost, RoundResult, load_averages
from raygan.errors import StoppedError
from raygan.run.events import Listener
from raygan.run.folder import RunFolder
from raygan.run.metrics import cluster_record
from raygan.run.participation import last_clusters
from raygan.run.plan import Plan
from raygan.runtime.backend import Group, Reference
from raygan.storage import read_json_lines
from raygan.wire.records import Lost

JOIN_SECONDS = 30.0
"""A new actor is waited for so long; one whose node is gone may take minutes, and joins after a later round."""
LOOK_SECONDS = 0.05
"""Those that have been waited for are looked for."""


class Roster:
    """The client workers of one run between its rounds."""

    def __init__(self, plan: Plan, folder: RunFolder, group: Group, listener: Listener) -> None:
        self._layout, self._config = plan.layout, plan.config
        self._folder, self._group, self._listener = folder, group, listener
        self._losses: Counter[int] = Counter()
        """Host -> how often it was lost since it last ended a round."""
        self._counted: set[int] = set()
        """Roster whose loss in this round is counted."""
        self._awaited: set[int] = set()
        """Roster that were started again and have not joined yet."""
        self._patient = False
        """Whether somebody has been started since they were last waited for."""
        self._rejoining: dict[int, Reference] = {}
        """Host -> whether it has taken over an average, since the last checkpoint."""
        self.given_up: set[int] = set()
        """Roster that are set aside."""

    def after_round(self, result: RoundResult) -> None:
        """Lost workers are started again, and everybody who is not in the round's average takes it over.

        Raises:
            StoppedError: too few clients are left.
        """
        lost, present = result.epochs.lost, self._group.workers
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

    def last_clusters(self, more: Sequence[Mapping[str, Any]] = ()) -> dict[int, int]:
        """Client -> the cluster whose average it has, or is to have, after the last round.

        Args:
            more: lines that `clusters.jsonl` does not have yet.
        """
        rounds = [*read_json_lines(self._folder.clusters_file), *more]
        return last_clusters(rounds, range(len(self._layout.clients)))

    def give_up(self, worker: int) -> None:
        """Sets a worker aside for good."""
        self._group.set_aside(worker)
        self._rejoining.pop(worker, None)
        self._awaited.discard(worker)
        self.given_up.add(worker)

    def check_rejoined(self) -> None:
        """Waits until those who were to take over an average have it.

        Raises:
            RoundLost: one that is alive has none, which tells of a lost aggregator.
        """
        workers = list(self._rejoining)
        answers = self._group.fetch([self._rejoining.pop(worker) for worker in workers])
        for worker, answer in zip(workers, answers, strict=True):
            if isinstance(answer, Lost) and self._group.alive(self._group.workers[worker]):
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
        self._group.restart_worker(worker)
        self._rejoining.pop(worker, None)
        self._awaited.add(worker)
        self._patient = True

    def _let_in(self, result: RoundResult) -> None:
        """Those that are back take over their clusters' averages."""
        joined = self._join()
        clusters = self._clusters_after(result) if joined else {}
        for worker in joined:
            self._take_over(worker, clusters, result)

    def _join(self) -> list[int]:
        """The workers that have joined: waits until there is one at least, since a round needs somebody."""
        joined = self._look()
        while self._awaited and not self._group.workers:
            self._patient = True
            joined += self._look()
        return joined

    def _look(self) -> list[int]:
        """The workers that have joined by now; an unfit one is set aside, one that died is started again."""
        ended = self._group.join(JOIN_SECONDS if self._patient else LOOK_SECONDS) if self._awaited else {}
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
        """Clients that are not in the round's average, late ones and those that were not drawn, take it over."""
        if len(result.assignment.cluster) == len(self._layout.clients):
            return
        given = self._clusters_after(result)
        left_out = {c: k for c, k in given.items() if c not in result.assignment.cluster}
        for worker in self._group.workers:
            if left_out.keys() & set(self._layout.workers[worker].ids) and worker not in self._rejoining:
                self._take_over(worker, left_out, result)

    def _take_over(self, worker: int, cluster: Mapping[int, int], result: RoundResult) -> None:
        answer = load_averages(self._group, self._layout, worker, cluster, result.averages, "rejoin")
        self._rejoining[worker] = answer

    def _clusters_after(self, result: RoundResult) -> dict[int, int]:
        """Client -> the cluster of this round whose average it has, or is to have."""
        return self.last_clusters([cluster_record(result.round, result.assignment)])
