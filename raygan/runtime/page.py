"""The table in `docs/recovery.md` of what happens when something is missing, from the rules."""

from __future__ import annotations

from pathlib import Path

import raygan
from raygan.runtime.limits import LIMITS
from raygan.runtime.recovery import ACTIONS, RULES, Rule

PAGE = Path(raygan.__file__).parent / "docs" / "recovery.md"
HEAD = "| missing | what happens | times at most | then |\n|---|---|---|---|\n"


def recovery_page() -> str:
    """The page, in Markdown: its text as it is, its table as the rules are."""
    before, _, table = PAGE.read_text(encoding="utf-8").partition(HEAD)
    _, _, after = table.partition("\n\n")
    return before + HEAD + "".join(_row(rule) for rule in RULES) + "\n" + after


def _row(rule: Rule) -> str:
    times, then = "", ""
    if rule.limit is not None and rule.beyond is not None:
        by_config = rule.limit == "max_restarts"
        times = "`ray.max_restarts` in a row" if by_config else str(getattr(LIMITS, rule.limit))
        then = ACTIONS[rule.beyond]
    return f"| {rule.missing} | {ACTIONS[rule.action]} | {times} | {then} |\n"
