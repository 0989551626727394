"""How long a step may wait for stragglers (`ray.step_deadline_s`)."""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Sequence

from raygan.config.schema import MedianDeadline
from raygan.wire.records import BodyReport, StepReport

REMEMBERED = 50
"""Steps over which the median is taken."""


class Deadline:
    """A step's deadline: fixed, a multiple of the median step, or none."""

    def __init__(self, setting: float | MedianDeadline | None) -> None:
        self._setting = setting
        self._steps_s: deque[float] = deque(maxlen=REMEMBERED)

    @property
    def seconds(self) -> float | None:
        """Seconds; None: no deadline, or no step yet to measure one by."""
        if not isinstance(self._setting, MedianDeadline):
            return self._setting
        return self._setting.median * statistics.median(self._steps_s) if self._steps_s else None

    def note(self, body: BodyReport, workers: Sequence[StepReport]) -> None:
        """Takes in a step in which nobody was late: its seconds, less those by which its slowest worker's work
        outlasts the median worker's. A straggler therefore does not lengthen the deadline that is meant for it."""
        work_s = sorted(sum(report.seconds.values()) for report in workers)
        if work_s:
            median_s = statistics.median(work_s)
            self._steps_s.append(max(body.step_seconds - (work_s[-1] - median_s), median_s))
