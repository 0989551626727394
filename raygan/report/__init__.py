"""A run as one self-contained HTML page."""

from __future__ import annotations

from pathlib import Path

from raygan.report.curves import score_charts, training_charts
from raygan.report.headline import cards, samples_section, scores_section, title_block
from raygan.report.html import page
from raygan.report.paper import paper_section
from raygan.report.record import Record, read_record
from raygan.report.sections import (
    clusters_section,
    configuration_section,
    cuts_section,
    faults_section,
    time_section,
)
from raygan.storage import write_bytes

__all__ = ["write_report"]


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
        scores_section(record, score_charts(record)),
        samples_section(record),
        paper_section(record),
        clusters_section(record),
        time_section(record, training_charts(record)),
        cuts_section(record),
        faults_section(record),
        configuration_section(record),
    )
