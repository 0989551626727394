"""What the commands' tables have in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table


def wide_console(width: int) -> Console:
    """A console that is at least so wide, since a narrow terminal may scroll."""
    console = Console(highlight=False)
    console.width = max(console.width, width)
    return console


def rows_table(title: str, rows: Sequence[Mapping[str, str]], words: int = 1) -> Table:
    """A table.

    Args:
        rows: at least one; each from a column's name to the cell.
        words: so many columns hold words; the others hold numbers, to the right.
    """
    table = Table(title=title, title_justify="left")
    for number, name in enumerate(rows[0]):
        table.add_column(name, justify="left" if number < words else "right")
    for row in rows:
        table.add_row(*row.values())
    return table
