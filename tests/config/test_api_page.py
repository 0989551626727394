"""`raygan/docs/api.md` says what the code's docstrings say."""

from __future__ import annotations

from tests.api_page import PAGE, text

FOUND = text()
"""Before fixtures change defaults."""


def test_the_page_is_that_of_the_code() -> None:
    assert PAGE.read_text(encoding="utf-8") == FOUND, "write it again: python -m tests.api_page"
