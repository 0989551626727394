"""A run as one self-contained HTML page; `train` and `resume`, the front door for people, write it in the end."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec

from raygan import api
from raygan.errors import RunError
from raygan.run.events import Listener
from raygan.run.stored import Run
from raygan.storage import leave_gone_folder, write_bytes

__all__ = ["resume", "train", "write_report"]

P = ParamSpec("P")


def write_report(path: str | Path) -> Path:
    """Writes RUN/report.html and returns its path; a run that has not ended is reported as far as it is.

    Raises:
        RunError: there is no run in the folder, a file of it is damaged, or the page cannot be written.
    """
    from raygan.report.page import page_of  # which needs pandas, as a run does not before its end
    from raygan.report.record import read_record

    leave_gone_folder()
    page = page_of(read_record(path))
    target = Path(path) / "report.html"
    write_bytes(target, page.encode())
    return target


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
