"""A run as one self-contained HTML page; `train` and `resume`, the front door for people, write it in the end."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import ParamSpec

from raygan import api
from raygan.errors import RunError
from raygan.markup import render
from raygan.report.about import about_the_run
from raygan.report.clusters import no_clusters, weights
from raygan.report.curves import loss_charts, score_charts, training_charts
from raygan.report.cuts import planned_cuts
from raygan.report.headline import headline
from raygan.report.paper import beside_the_paper
from raygan.report.privacy import audited, budgets
from raygan.report.record import Record, read_record
from raygan.report.samples import samples_by_round
from raygan.report.scores import last_scores
from raygan.report.terms import TERMS, terms_of
from raygan.report.timing import time_and_bytes
from raygan.run.events import Listener
from raygan.run.stored import Run
from raygan.step import PHASES
from raygan.storage import leave_gone_folder, write_bytes

__all__ = ["resume", "train", "write_report"]

P = ParamSpec("P")
ANCHORS = ("scores", "samples", "clusters", "time", "cuts", "faults", "run", "configuration", "terms")
EXPLAINED = ("scores", "samples", "clusters", "time", "cuts")
"""Sections whose words are explained in them."""


def write_report(path: str | Path) -> Path:
    """Writes RUN/report.html and returns its path; a run that has not ended is reported as far as it is.

    Raises:
        RunError: there is no run in the folder, a file of it is damaged, or the page cannot be written.
    """
    leave_gone_folder()
    record = read_record(path)
    target = Path(path) / "report.html"
    write_bytes(target, _render(record).encode())
    return target


def _render(record: Record) -> str:
    """The page: answers first, then what they rest on."""
    return render(
        "report.html",
        title=f"raygan run {record.run.path.name}",
        anchors=ANCHORS,
        **headline(record),
        **last_scores(record),
        curves=[*score_charts(record), *loss_charts(record)],
        samples=samples_by_round(record),
        paper=beside_the_paper(record),
        members=weights(record),
        no_clusters=no_clusters(record),
        **time_and_bytes(record),
        statistics=training_charts(record),
        cuts=planned_cuts(record),
        budget=budgets(record),
        privacy=audited(record),
        **about_the_run(record),
        glossary=TERMS,
        terms={section: terms_of(section) for section in EXPLAINED},
        phases=[phase.words for phase in PHASES.values()],
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
