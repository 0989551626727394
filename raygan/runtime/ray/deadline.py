"""A step's deadline in the body: it goes on without workers that are late, for the rest of their round."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import ray

from raygan.runtime.ray.transport import gather
from raygan.wire.records import Lost, StepId


class StepDeadline:
    """Waits for the workers' messages, once a step up to its deadline.

    Whoever is missing when the deadline passes is late: nothing more of it is waited for in the round, and
    the others get the same time again. One straggler therefore costs at most the deadline.
    """

    def __init__(self) -> None:
        self._late: set[int] = set()
        self._deadline_s: float | None = None
        self._ends_s = 0.0

    def begin_step(self, step: StepId, deadline_s: float) -> None:
        """Starts the clock; with a round's first step everybody is waited for again."""
        if step.step == 0:
            self._late = set()
        self._deadline_s = deadline_s
        self._start_clock()

    def gather(self, messages: Mapping[int, ray.ObjectRef[Any] | Lost]) -> dict[int, Any]:
        """Worker -> its record; `Lost` for one that is late, or whose actor died."""
        awaited = {
            worker: message
            for worker, message in messages.items()
            if worker not in self._late and isinstance(message, ray.ObjectRef)
        }
        rest_s = None if self._deadline_s is None else max(0.0, self._ends_s - time.monotonic())
        records = dict(zip(awaited, gather(list(awaited.values()), rest_s), strict=True))
        late = {
            worker for worker, record in records.items() if isinstance(record, Lost) and record.why == "late"
        }
        if late:
            self._late |= late
            self._start_clock()
        missed = Lost("late earlier in the round", "late")
        return {
            worker: message if isinstance(message, Lost) else records.get(worker, missed)
            for worker, message in messages.items()
        }

    def _start_clock(self) -> None:
        self._ends_s = time.monotonic() + (self._deadline_s or 0.0)
