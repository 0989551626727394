"""Tables fit the terminal, and nothing is wrapped where there is none."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from raygan.cli import tables
from raygan.cli.tables import FittingTable, make_console, rows_table

ROWS = [
    {
        "domain": name,
        "label agreement 5k": "81.3%",
        "generation score 5k": "7.31",
        "classifier fid 5k": "10.60",
        **{f"{part} 30k": "97.0%" for part in ("accuracy", "precision", "recall", "f1", "false positive rate")},
    }
    for name in ("demo_mnist", "demo_fashion_mnist: 1,000 real")
]


def printed(table: FittingTable, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(table)
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [60, 80, 100, 130, 200])
def test_a_table_fits_and_no_number_and_no_word_is_broken(width: int) -> None:
    lines = printed(rows_table("scores", ROWS), width)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for word in ("agreement", "generation", "precision", "demo_fashion_mnist:", "81.3%", "10.60"):
        assert word in text
    assert text.count("97.0%") == 10, "every column is there, once"


def test_a_wide_table_is_one_and_a_narrow_one_repeats_its_first_column() -> None:
    table = rows_table("scores", ROWS)
    assert [list(part) for part in table.parts(tables.UNWRAPPED)] == [list(ROWS[0])]
    parts = table.parts(80)
    assert len(parts) > 1
    assert [next(iter(part)) for part in parts] == ["domain"] * len(parts)
    assert [name for part in parts for name in list(part)[1:]] == list(ROWS[0])[1:]


def test_room_that_is_left_keeps_heads_on_one_line() -> None:
    table = rows_table("", [{"name": "a b", "label agreement": "1"}])
    least, most = {"name": 4, "label agreement": 9}, {"name": 4, "label agreement": 15}
    assert table.parts(20) == [least]
    assert table.parts(23) == [least | {"label agreement": 12}]
    assert table.parts(26) == table.parts(99) == [most]


def test_a_line_in_a_pipe_is_not_wrapped(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    make_console().print("word " * 100)
    assert capsys.readouterr().out.count("\n") == 1


def test_text_of_a_users_is_no_markup() -> None:
    lines = printed(rows_table("[bold]t", [{"[red]": "[/x] :smile:"}]), 80)
    assert "[/x] :smile:" in "\n".join(lines)
