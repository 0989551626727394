"""The pages of documentation that are printed from the code's tables. `python -m tests.pages` writes them anew."""

from __future__ import annotations

from pathlib import Path

import raygan
from raygan.runtime.limits import LIMITS
from raygan.runtime.recovery import ACTIONS, RULES, Rule
from raygan.telemetry.definitions import METRICS

PACKAGE = Path(raygan.__file__).parent
METRICS_PAGE = PACKAGE / "telemetry" / "METRICS.md"
RECOVERY = PACKAGE / "docs" / "recovery.md"
METRICS_HEAD = """\
# Metrics

Every run on Ray publishes these through `ray.util.metrics`; each node's agent serves them to Prometheus (`ray metrics
launch-prometheus` starts one for a cluster on this machine). All carry the tag `run`, the name of the run's folder, and
Ray's own. `raygan dashboard --grafana > raygan.json` writes a Grafana dashboard of them.

| metric | kind | unit | tags | meaning |
|---|---|---|---|---|
"""
RECOVERY_HEAD = "| missing | what happens | times at most | then |\n|---|---|---|---|\n"


def metrics_page() -> str:
    """The page, in Markdown."""
    rows = [
        f"| `{m.exported}` | {m.kind} | {m.unit} | {', '.join(f'`{tag}`' for tag in m.tags)} | {m.meaning} |"
        for m in METRICS
    ]
    return METRICS_HEAD + "\n".join(rows) + "\n"


def recovery_page() -> str:
    """The page, in Markdown: its text as it is, its table as the rules are."""
    before, _, table = RECOVERY.read_text(encoding="utf-8").partition(RECOVERY_HEAD)
    _, _, after = table.partition("\n\n")
    return before + RECOVERY_HEAD + "".join(_row(rule) for rule in RULES) + "\n" + after


def _row(rule: Rule) -> str:
    times, then = "", ""
    if rule.limit is not None and rule.beyond is not None:
        by_config = rule.limit == "max_restarts"
        times = "`ray.max_restarts` in a row" if by_config else str(getattr(LIMITS, rule.limit))
        then = ACTIONS[rule.beyond]
    return f"| {rule.missing} | {ACTIONS[rule.action]} | {times} | {then} |\n"


if __name__ == "__main__":
    METRICS_PAGE.write_text(metrics_page(), encoding="utf-8")
    RECOVERY.write_text(recovery_page(), encoding="utf-8")
