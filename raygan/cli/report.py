"""`raygan report`: a run as one HTML page."""

from __future__ import annotations

from pathlib import Path

from raygan.report import write_report


def report_run(path: Path) -> str:
    """Writes RUN/report.html and says so in one line.

    Raises:
        InputError: no run there, or the page cannot be written.
    """
    return f"wrote {write_report(path)}"
