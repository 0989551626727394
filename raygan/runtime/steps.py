"""The steps of a round, whatever the algorithm: submitted ahead within a bound, taken in one after the other.

A step is submitted whole, as references from party to party; a worker that is late or lost is a value, and sits out.
"""

from __future__ import annotations

import statistics
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from raygan.config.schema import MedianDeadline
from raygan.runtime.backend import Backend, Reference
from raygan.runtime.recovery import Missing, Phase, Role, decide
from raygan.wire.records import BodyReport, Lost, StepId, StepReport

T = TypeVar("T")

REMEMBERED = 50
"""Steps over which the median of a deadline is taken."""
OnStep = Callable[[int, int, list[StepReport]], None]
"""Called with the round's and the step's number and the workers' reports."""


class RoundLost(RuntimeError):  # noqa: N818 - a state of the round, not a mistake
    """Somebody was lost without whom the round cannot go on: it begins again from the last checkpoint."""

    def __init__(self, missing: Missing) -> None:
        super().__init__(missing.reason)
        self.missing = missing


@dataclass(frozen=True)
class Submitted:
    """A step under way: references to its small records."""

    id: StepId
    workers: Mapping[int, Reference[StepReport]]
    server: Reference[BodyReport] | None = None
    """None: no server takes part in a step."""
    others: Sequence[Reference[BodyReport]] = ()
    """Of the server's other replicas or sections."""
    together: Callable[[Sequence[BodyReport]], BodyReport] | None = None
    """Makes one report of theirs; None: `slowest`."""


Submit = Callable[[StepId, Collection[int]], Submitted]
"""Submits one step of an algorithm; the workers named sit it out."""


@dataclass(frozen=True)
class Cohort:
    """Who takes part in a round."""

    round: int
    """From 0."""
    num_steps: int
    """The most that any client's local epochs give."""
    clients: tuple[int, ...]
    min_clients: int
    """Fewer than these must not be averaged."""


@dataclass
class Epochs:
    """What the steps of a round tell, filled in as they end."""

    reports: list[StepReport] = field(default_factory=list)
    server: list[BodyReport] = field(default_factory=list)
    lost: dict[int, Lost] = field(default_factory=dict)
    """Worker -> why, of those that died."""
    late: set[int] = field(default_factory=set)
    """Workers that missed a step's deadline: they sit out the rest of the round."""
    faults: list[str] = field(default_factory=list)
    """Of clients that cannot be averaged."""
    absent: Counter[int] = field(default_factory=Counter)
    """Worker -> steps that it sat out, late or lost."""
    seconds: float = 0.0
    """Of all steps."""

    @property
    def gone(self) -> set[int]:
        """Workers that take no part in the rest of the round."""
        return {*self.lost, *self.late}


class Deadline:
    """How long a step may wait for stragglers (`ray.step_deadline_s`): fixed, a multiple of the median step, or none."""

    def __init__(self, setting: float | MedianDeadline | None) -> None:
        self._setting = setting
        self._steps_s: deque[float] = deque(maxlen=REMEMBERED)

    @property
    def seconds(self) -> float | None:
        """Seconds; None: no deadline, or no step yet to measure one by."""
        if not isinstance(self._setting, MedianDeadline):
            return self._setting
        return self._setting.median * statistics.median(self._steps_s) if self._steps_s else None

    def note(self, server: BodyReport | None, workers: Sequence[StepReport]) -> None:
        """Takes in a step in which nobody was late: its seconds, less those by which its slowest worker's work
        outlasts the median worker's. A straggler therefore does not lengthen the deadline that is meant for it.

        Args:
            server: None: no server takes part in a step, which is as long as its slowest worker's work.
        """
        work_s = sorted(sum(report.seconds.values()) for report in workers)
        if work_s:
            median_s = statistics.median(work_s)
            step_s = work_s[-1] if server is None else server.step_seconds
            self._steps_s.append(max(step_s - (work_s[-1] - median_s), median_s))


class StepLoop:
    """Runs the steps of a round.

    Args:
        on_step: called after each step.
        deadline: how long a step waits for stragglers.
        steps_ahead: steps that may be under way at a time.
    """

    def __init__(self, backend: Backend, on_step: OnStep, deadline: Deadline, steps_ahead: int) -> None:
        self._backend, self._on_step = backend, on_step
        self._deadline, self._steps_ahead = deadline, steps_ahead

    def run(self, round_number: int, steps: range, idle: Collection[int], submit: Submit, epochs: Epochs) -> None:
        """Some steps of a round, in order.

        Args:
            idle: workers without a client that takes part.
            epochs: what the round's steps before these told; filled in.

        Raises:
            RoundLost: a server was lost.
        """
        under_way: deque[Submitted] = deque()
        for number in steps:
            if len(under_way) >= self._steps_ahead:
                self._finish(under_way.popleft(), epochs)
            step = StepId(round_number, number)
            if self._deadline.seconds is not None:
                self._backend.begin_step(step, self._deadline.seconds)
            under_way.append(submit(step, {*idle, *epochs.gone}))
            epochs.absent.update(epochs.gone)
        while under_way:
            self._finish(under_way.popleft(), epochs)

    def _finish(self, submitted: Submitted, epochs: Epochs) -> None:
        """Takes in a step's records. A late or lost worker is a value; a lost server ends the round."""
        deadline_s = self._deadline.seconds
        absent = self._finish_server(submitted, epochs)
        arrived = []
        for worker, report in self._reports(submitted, epochs.late, deadline_s):
            if not isinstance(report, Lost):
                arrived.append(report)
            elif decide(Missing.lost("worker", "step", report)) == "sit_out":
                epochs.late.add(worker)
            else:
                epochs.late.discard(worker)
                epochs.lost[worker] = report
        if not absent:
            self._deadline.note(epochs.server[-1] if submitted.server is not None else None, arrived)
        epochs.reports.extend(arrived)
        self._on_step(submitted.id.round, submitted.id.step, arrived)

    def _finish_server(self, submitted: Submitted, epochs: Epochs) -> set[int]:
        """The workers that the server missed in the step."""
        if submitted.server is None:
            return set()
        reports = self._backend.fetch([submitted.server, *submitted.others])
        epochs.server.append((submitted.together or slowest)([needed(report, "step") for report in reports]))
        absent = set(epochs.server[-1].absent) & set(submitted.workers)
        epochs.absent.update(absent)
        if self._deadline.seconds is not None and decide(Missing("worker", "step", "late")) == "sit_out":
            epochs.late.update(absent - epochs.lost.keys())
        return absent

    def _reports(
        self, submitted: Submitted, late: Collection[int], deadline_s: float | None
    ) -> list[tuple[int, StepReport | Lost]]:
        """Worker -> its report; those of late workers are not waited for."""
        records: dict[int, StepReport | Lost] = {}
        for timeout_s, wanted in ((0.0, late), (deadline_s, submitted.workers.keys() - set(late))):
            workers = [worker for worker in submitted.workers if worker in wanted]
            references = [submitted.workers[worker] for worker in workers]
            records |= zip(workers, self._backend.fetch(references, timeout_s), strict=True)
        return [(worker, records[worker]) for worker in submitted.workers]


def slowest(reports: Sequence[BodyReport]) -> BodyReport:
    """One for all replicas of a server: of seconds the slowest's, since each waits for the others."""
    first, *others = reports
    if not others:
        return first
    names = dict.fromkeys(name for report in reports for name in report.seconds)
    seconds = {name: max(report.seconds.get(name, 0.0) for report in reports) for name in names}
    absent = tuple(sorted({worker for report in reports for worker in report.absent}))
    return replace(first, seconds=seconds, absent=absent, step_seconds=max(r.step_seconds for r in reports))


def needed(record: T | Lost, phase: Phase, role: Role = "server") -> T:
    """A record without which the round cannot go on.

    Raises:
        RoundLost: it is lost.
    """
    if isinstance(record, Lost):
        raise RoundLost(Missing.lost(role, phase, record))
    return record
