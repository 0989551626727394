"""Train, then report: the front door for people, who want to see what came out."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

from raygan import api
from raygan.errors import RunError
from raygan.report import write_report
from raygan.run.events import Listener
from raygan.run.stored import Run

P = ParamSpec("P")


def _reported(run: Callable[P, Run]) -> Callable[P, Run]:
    """As in `raygan.api`, then RUN/report.html, which the run's copy gets too. What cannot be written is told to the
    listener."""

    @wraps(run)
    def run_and_report(*args: P.args, **kwargs: P.kwargs) -> Run:
        done, listener = run(*args, **kwargs), kwargs.get("listener")
        tell = (listener if isinstance(listener, Listener) else Listener()).on_fault
        for mishap, step in (
            ("no report", lambda: write_report(done.path)),
            ("the copy is behind", lambda: api.push_copy(done)),
        ):
            try:
                step()
            except RunError as error:
                tell(f"{mishap}: {error}")
        return done

    return run_and_report


train = _reported(api.train)
resume = _reported(api.resume)
