"""Every metric that a run publishes. The table is `METRICS.md`, for people and for this program: what the recorder may
publish and what the Grafana dashboard may ask for follow from it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

PAGE = Path(__file__).with_name("METRICS.md")
STEP_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Bounds of the histogram of step times, seconds."""


@dataclass(frozen=True)
class Metric:
    """One metric: a row of the table."""

    exported: str
    """Its name in Prometheus: Ray prefixes all, and Prometheus ends a counter in `_total`."""
    kind: str
    """`counter`, `gauge` or `histogram`."""
    unit: str
    tags: tuple[str, ...]
    """Beside `run`, which all have."""
    meaning: str

    @property
    def name(self) -> str:
        """As Ray is told it."""
        return self.exported.removeprefix("ray_").removesuffix("_total")


def _metric(row: str) -> Metric:
    exported, kind, unit, tags, meaning = (cell.strip() for cell in row.strip("|").split("|"))
    return Metric(exported.strip("`"), kind, unit, tuple(re.findall(r"`(\w+)`", tags)), meaning)


METRICS = tuple(
    _metric(line) for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")
)
BY_NAME = {metric.name: metric for metric in METRICS}
