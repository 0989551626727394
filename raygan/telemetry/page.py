"""The page of documentation of the metrics, `METRICS.md` beside this file, from their table."""

from __future__ import annotations

from pathlib import Path

from raygan.telemetry.definitions import METRICS

PAGE = Path(__file__).with_name("METRICS.md")
HEAD = """\
# Metrics

Every run on Ray publishes these through `ray.util.metrics`; each node's agent serves them to Prometheus (`ray metrics
launch-prometheus` starts one for a cluster on this machine). All carry the tag `run`, the name of the run's folder, and
Ray's own. `raygan dashboard --grafana > raygan.json` writes a Grafana dashboard of them.

| metric | kind | unit | tags | meaning |
|---|---|---|---|---|
"""


def metrics_page() -> str:
    """The page, in Markdown."""
    rows = [
        f"| `{m.exported}` | {m.kind} | {m.unit} | {', '.join(f'`{tag}`' for tag in m.tags)} | {m.meaning} |"
        for m in METRICS
    ]
    return HEAD + "\n".join(rows) + "\n"
