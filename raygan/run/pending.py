"""Finished rounds whose scores are still being computed, while the next rounds train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raygan.algorithms.huscf import RoundResult
from raygan.data import domain_names
from raygan.errors import InputError
from raygan.parties.evaluator import cluster_tasks
from raygan.run.checkpoints import Checkpoints
from raygan.run.events import Listener
from raygan.run.folder import RunFolder
from raygan.run.metrics import round_metrics
from raygan.run.plan import Plan
from raygan.run.roster import JOIN_SECONDS, LOOK_SECONDS
from raygan.runtime.backend import Group, Reference
from raygan.storage import read_json_lines
from raygan.wire.records import Evaluation, Lost, Traffic

MAX_PENDING = 2
"""Rounds that may wait for their scores: their averages stay in the object store until then."""
MAX_RESTARTS = 10
"""Scores over which the evaluator is lost more often are given up."""


@dataclass
class _Pending:
    """A finished round whose scores are still being computed."""

    result: RoundResult
    evaluation: Reference | None
    traffic: Sequence[Traffic]
    """What crossed in it."""
    faults: list[str]
    restarts: int = 0


class PendingScores:
    """Has rounds scored, and writes their metrics in the order of the rounds."""

    def __init__(
        self, plan: Plan, folder: RunFolder, checkpoints: Checkpoints, group: Group, listener: Listener
    ) -> None:
        self._plan, self._layout, self._config = plan, plan.layout, plan.config
        self._folder, self._checkpoints, self._group = folder, checkpoints, group
        self._listener = listener
        self._pending: list[_Pending] = []
        self._prepared: Reference | None = None
        self._restarted = False
        """Whether the evaluator is not the first: that one's faults are found before anything is lost by them."""
        self._patience_s = 0.0
        """How long it is waited for, if it is not the first: one whose node is gone may take minutes."""

    def prepare(self) -> None:
        """Has the evaluator train its classifiers while the first round trains."""
        self._prepared = self._group.evaluator.call("prepare")

    def add(self, result: RoundResult, faults: Sequence[str]) -> None:
        """Asks for a round's scores, if it is to have any.

        Args:
            faults: told since the round before.
        """
        evaluation, traffic = self._evaluate(result), self._traffic_of(result)
        self._pending.append(_Pending(result, evaluation, traffic, list(faults)))

    def write(self, wait: bool) -> None:
        """Writes the metrics of rounds whose scores are there, or of all."""
        while self._pending:
            pending = self._pending[0]
            may_wait = not wait and len(self._pending) <= MAX_PENDING
            if pending.evaluation is not None and may_wait and not self._group.ready(pending.evaluation):
                return
            evaluation = self._scores(pending)
            names, workers = domain_names(self._config.data), self._layout.workers
            metrics = round_metrics(
                pending.result,
                evaluation,
                self._plan.domains,
                names,
                workers,
                pending.traffic,
                pending.faults,
            )
            self._folder.write_round(metrics)
            self._checkpoints.prune(read_json_lines(self._folder.metrics_file))
            self._listener.on_round(metrics)
            self._pending.pop(0)

    def _traffic_of(self, result: RoundResult) -> list[Traffic]:
        """What every actor counted in the round; nothing of those that are lost."""
        aggregators = self._group.aggregators(len(result.averages) + 1)
        handles = (*self._group.workers.values(), self._group.body, *aggregators)
        answers = self._group.fetch([handle.call("traffic") for handle in handles])
        return [answer for answer in answers if not isinstance(answer, Lost)]

    def _evaluate(self, result: RoundResult) -> Reference | None:
        last = result.round + 1 == self._config.training.rounds
        if not last and (result.round + 1) % self._config.evaluation.every:
            return None
        saved = self._checkpoints.due(result.round, self._config.training.rounds)
        folder = self._checkpoints.of(result.round).path if saved else None
        tasks = cluster_tasks(result.assignment.cluster, self._plan.domains, folder)
        generators = [
            [reference for key, reference in blocks.items() if key[0] == "generator"]
            for blocks in result.averages.values()
        ]
        return self._group.evaluator.call("evaluate", result.round, tasks, generators)

    def _scores(self, pending: _Pending) -> Evaluation | None:
        """A round's scores; None where it has none. A lost evaluator is started again and scores again."""
        while pending.evaluation is not None:
            if self._restarted and not self._group.has_evaluator(self._patience_s):
                self._patience_s = LOOK_SECONDS
                self._tell(
                    pending, f"round {pending.result.round + 1} has no scores: the evaluator is not back"
                )
                return None
            answer = self._answer(pending.evaluation)
            if isinstance(answer, Evaluation):
                for fault in answer.faults:
                    self._tell(pending, fault)
                return answer
            if isinstance(answer, InputError):
                self._tell(pending, f"round {pending.result.round + 1} has no scores: {answer}")
                return None
            self._tell(pending, f"the evaluator was lost ({answer.reason})")
            pending.restarts += 1
            if pending.restarts > MAX_RESTARTS:
                return None
            self._group.restart_evaluator()
            self._restarted, self._patience_s = True, JOIN_SECONDS
            for other in self._pending:
                other.evaluation = self._evaluate(other.result)
        return None

    def _tell(self, pending: _Pending, fault: str) -> None:
        pending.faults.append(fault)
        self._listener.on_fault(fault)

    def _answer(self, evaluation: Reference) -> Evaluation | InputError | Lost:
        """Scores, or why there are none: the evaluator is lost, or was started again and finds its data damaged."""
        try:
            if not self._restarted:
                self._group.fetch([self._prepared])  # what it found wrong must not be found by nobody
            (answer,) = self._group.fetch([evaluation])
        except InputError as error:
            if not self._restarted:
                raise
            return error
        return answer
