"""A run as one self-contained HTML page; `train` and `resume`, the front door for people, write it in the end."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec

from raygan import api
from raygan.errors import RunError
from raygan.report.curves import loss_charts, score_charts, training_charts
from raygan.report.headline import cards, samples_section, scores_section, title_block
from raygan.report.html import page
from raygan.report.paper import paper_section
from raygan.report.privacy import budget_section, privacy_section
from raygan.report.record import Record, read_record
from raygan.report.sections import (
    clusters_section,
    configuration_section,
    cuts_section,
    faults_section,
    time_section,
)
from raygan.report.terms import terms_section
from raygan.run.events import Listener
from raygan.run.stored import Run
from raygan.storage import write_bytes

__all__ = ["resume", "train", "write_report"]

P = ParamSpec("P")


def write_report(path: str | Path) -> Path:
    """Writes RUN/report.html and returns its path; a run that has not ended is reported as far as it is.

    Raises:
        RunError: there is no run in the folder, a file of it is damaged, or the page cannot be written.
    """
    record = read_record(path)
    target = Path(path) / "report.html"
    write_bytes(target, _render(record).encode())
    return target


def _render(record: Record) -> str:
    """The page: answers first, then what they rest on."""
    return page(
        f"raygan run {record.run.path.name}",
        title_block(record),
        cards(record),
        scores_section(record, score_charts(record), loss_charts(record)),
        samples_section(record),
        paper_section(record),
        clusters_section(record),
        time_section(record, training_charts(record)),
        cuts_section(record),
        budget_section(record),
        privacy_section(record),
        faults_section(record),
        configuration_section(record),
        terms_section(),
    )


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
