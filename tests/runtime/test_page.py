"""The page of recovery against its table."""

from __future__ import annotations

from raygan.runtime.recovery import ACTIONS, RULES
from tests.pages import RECOVERY, recovery_page


def test_the_page_is_that_of_the_rules() -> None:
    assert RECOVERY.read_text(encoding="utf-8") == recovery_page(), "write it anew: python -m tests.pages"
    for rule in RULES:
        assert f"| {rule.missing} | {ACTIONS[rule.action]} | " in recovery_page()
