"""Finished rounds whose scores are still being computed, while the next rounds train."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from raygan.algorithms.base import RoundResult
from raygan.errors import InputError
from raygan.parties.base import Party
from raygan.parties.evaluator import Evaluator, model_tasks
from raygan.run.checkpoints import Checkpoints
from raygan.run.divergence import new_signs
from raygan.run.events import Listener
from raygan.run.folder import RunFolder
from raygan.run.metrics import round_metrics
from raygan.run.plan import Plan
from raygan.runtime.backend import Backend, Reference, together
from raygan.runtime.limits import LIMITS
from raygan.runtime.recovery import Missing, Phase, decide
from raygan.storage import append_json_line, read_json_lines
from raygan.wire.records import Evaluation, Lost, Traffic


@dataclass
class _Pending:
    """A finished round whose scores are still being computed."""

    result: RoundResult
    evaluation: Reference[Evaluation] | None
    traffic: Sequence[Traffic]
    """What crossed in it."""
    faults: list[str]
    losses: int = 0
    """How often the evaluator was lost over them."""


class PendingScores:
    """Has rounds scored, and writes their metrics in the order of the rounds."""

    def __init__(
        self, plan: Plan, folder: RunFolder, checkpoints: Checkpoints, backend: Backend, listener: Listener
    ) -> None:
        self._plan, self._layout, self._config = plan, plan.layout, plan.config
        self._folder, self._checkpoints, self._backend = folder, checkpoints, backend
        self._listener = listener
        self._pending: list[_Pending] = []
        self._prepared: Reference[None] | None = None
        self._restarted = False
        """Whether the evaluator is not the first: that one's faults are found before anything is lost by them."""
        self._patience_s = 0.0
        """How long it is waited for, if it is not the first: one whose node is gone may take minutes."""

    def prepare(self) -> None:
        """Has the evaluator train its classifiers while the first round trains."""
        self._prepared = self._backend.evaluator.call(Evaluator.prepare)

    def add(self, result: RoundResult, faults: Sequence[str]) -> None:
        """Asks for a round's scores, if it is to have any.

        Args:
            faults: told since the round before.
        """
        evaluation, traffic = self._evaluate(result), self._traffic()
        self._pending.append(_Pending(result, evaluation, traffic, list(faults)))

    def write(self, wait: bool) -> None:
        """Writes the metrics of rounds whose scores are there, or of all."""
        while self._pending:
            pending = self._pending[0]
            if not wait and self._may_wait(pending.evaluation):
                return
            evaluation = self._scores(pending)
            metrics = round_metrics(self._plan, pending.result, evaluation, pending.traffic, pending.faults)
            lines = [*read_json_lines(self._folder.metrics_file), metrics]
            signs = new_signs(lines)
            metrics["faults"] += signs
            append_json_line(self._folder.metrics_file, metrics)
            self._checkpoints.prune(lines)
            self._listener.on_round(metrics)
            for sign in signs:
                self._listener.on_fault(sign)
            self._pending.pop(0)

    def _may_wait(self, evaluation: Reference[Evaluation] | None) -> bool:
        if evaluation is None or self._backend.ready(evaluation):
            return False
        return decide(Missing("evaluator", "scores", "late"), len(self._pending)) == "go_on"

    def _traffic(self) -> list[Traffic]:
        """What every actor counted in the round; nothing of those that are lost."""
        backend = self._backend
        actors = (*backend.workers.values(), *backend.servers, *backend.started_aggregators)
        answers = backend.fetch([actor.call(Party.traffic) for actor in actors])
        return [answer for answer in answers if not isinstance(answer, Lost)]

    def _evaluate(self, result: RoundResult) -> Reference[Evaluation] | None:
        last = result.cohort.round + 1 == self._config.training.rounds
        if not last and (result.cohort.round + 1) % self._config.evaluation.every:
            return None
        saved = self._checkpoints.due(result.cohort.round, self._config.training.rounds)
        folder = self._checkpoints.of(result.cohort.round).path if saved else None
        tasks = model_tasks(result.served, self._plan.domains, self._plan.algorithm.model_kind, folder)
        weights = self._config.evaluation.weights
        generators = together([together(model.generator(weights)) for model in result.models.values()])
        return self._backend.evaluator.call(Evaluator.evaluate, result.cohort.round, tasks, generators)

    def _scores(self, pending: _Pending) -> Evaluation | None:
        """A round's scores; None where it has none. A lost evaluator is started again and scores again."""
        while pending.evaluation is not None:
            found = self._answer(pending.evaluation, pending.result.cohort.round + 1)
            if isinstance(found, Evaluation):
                for fault in found.faults:
                    self._tell(pending, fault)
                return found
            self._tell(pending, found.reason)
            pending.losses += 1
            if decide(found, pending.losses) == "no_scores":
                return None
            self._backend.restart_evaluator()
            self._restarted, self._patience_s = True, LIMITS.join_s
            for other in self._pending:
                other.evaluation = self._evaluate(other.result)
        return None

    def _tell(self, pending: _Pending, fault: str) -> None:
        pending.faults.append(fault)
        self._listener.on_fault(fault)

    def _answer(self, evaluation: Reference[Evaluation], number: int) -> Evaluation | Missing:
        """Scores of a round (from 1), or why there are none: the evaluator is lost, is not back, or is unfit.

        Raises:
            InputError: the first evaluator of the run is unfit.
        """
        none = f"round {number} has no scores"
        if self._restarted and not self._backend.has_evaluator(self._patience_s):
            self._patience_s = LIMITS.look_s
            return Missing("evaluator", "join", "late", f"{none}: the evaluator is not back")
        try:
            if not self._restarted and self._prepared is not None:
                self._backend.fetch([self._prepared])  # what it found wrong must not be found by nobody
            (answer,) = self._backend.fetch([evaluation])
        except InputError as error:
            phase: Phase = "join" if self._restarted else "start"
            missing = Missing("evaluator", phase, "unfit", f"{none}: {error}")
            if decide(missing) == "stop":
                raise
            return missing
        if isinstance(answer, Lost):
            return Missing("evaluator", "scores", answer.why, f"the evaluator was lost ({answer.reason})")
        return answer
