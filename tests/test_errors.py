"""The phrases that messages share."""

from __future__ import annotations

import pytest

from raygan.errors import first_line, instead_of, known_names


@pytest.mark.parametrize(
    ("name", "known", "shown", "remedy"),
    [
        ("roundz", ["lr", "rounds"], None, "did you mean 'rounds'?"),
        ("roundz", ["lr", "rounds"], ["lr"], "did you mean 'rounds'?"),
        ("mars", ["lr", "rounds"], None, "use one of lr, rounds"),
        ("mars", ["lr", "rounds"], ["lr"], "use one of lr"),
        ("mars", [], None, "remove it"),
    ],
)
def test_an_unknown_name_gets_the_nearest_or_all(
    name: str, known: list[str], shown: list[str] | None, remedy: str
) -> None:
    assert instead_of(name, known, shown) == remedy


def test_an_unknown_set_gets_the_nearest_and_all() -> None:
    assert known_names("mnits", ["mnist", "usps"]) == "did you mean mnist? known names: mnist, usps"
    assert known_names("faces", ["mnist", "usps"]) == "known names: mnist, usps"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (RuntimeError("one\ntwo"), "one"),
        (RuntimeError("\n one\n"), "one"),
        (RuntimeError(), "RuntimeError"),
        (OSError(" \n"), "OSError"),
    ],
)
def test_the_first_line_of_an_error_without_a_text_is_its_kind(error: Exception, line: str) -> None:
    assert first_line(error) == line
