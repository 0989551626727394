"""What commands print on: a console that fits the terminal and wraps nothing in pipes, and tables that fit it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions
from rich.table import Table
from rich.text import Text

UNWRAPPED = 100_000
"""Columns where nobody looks at a screen: a pipe, a file, a job's log."""
FRAME = 3
"""What a column takes beside its text; the table one more."""


def make_console(stderr: bool = False) -> Console:
    """As wide as the terminal; in a pipe or a log nothing is wrapped, so that a line there is one thing."""
    console = Console(stderr=stderr, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = UNWRAPPED
    return console


@dataclass(frozen=True)
class FittingTable:
    """A table that is as wide as its words where there is room. Where there is less, heads and words are wrapped between
    words; where that is not enough, the columns are spread over several tables, each with the first column."""

    title: str
    rows: Sequence[Mapping[str, str]]
    """At least one; each from a column's name to the cell."""
    words: int = 1
    """So many columns hold words; the others hold numbers, to the right, never wrapped."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table | Text]:
        """What rich prints."""
        yield Text(self.title, style="italic")
        for columns in self.parts(options.max_width):
            yield self._table(columns)

    def parts(self, width: int) -> list[dict[str, int]]:
        """The tables that fit into so many characters: each from its columns' names to their widths."""
        first, *others = self.rows[0]
        parts = [[first]]
        for name in others:
            taken = sum(self._least(column) + FRAME for column in [*parts[-1], name]) + 1
            if taken <= width or parts[-1] == [first]:
                parts[-1].append(name)
            else:
                parts.append([first, name])
        return [self._widths(names, width) for names in parts]

    def _widths(self, names: Sequence[str], width: int) -> dict[str, int]:
        """The least widths, and what is left over to the columns that can use it, in order."""
        left = width - 1 - sum(self._least(name) + FRAME for name in names)
        widths = {}
        for name in names:
            least = self._least(name)
            widths[name] = least + max(0, min(left, max(len(cell) for cell in self._cells(name)) - least))
            left -= widths[name] - least
        return widths

    def _least(self, name: str) -> int:
        """Characters that a column needs so that no word and no number is broken."""
        head, *cells = self._cells(name)
        if list(self.rows[0]).index(name) < self.words:
            cells = [word for cell in cells for word in cell.split()]
        return max(map(len, [*head.split(), *cells]), default=1) or 1

    def _cells(self, name: str) -> list[str]:
        return [name, *(row[name] for row in self.rows)]

    def _table(self, widths: Mapping[str, int]) -> Table:
        table = Table()
        for name, width in widths.items():
            of_words = list(self.rows[0]).index(name) < self.words
            table.add_column(Text(name), justify="left" if of_words else "right", width=width, overflow="fold")
        for row in self.rows:
            table.add_row(*(Text(row[name]) for name in widths))
        return table


def rows_table(title: str, rows: Sequence[Mapping[str, str]], words: int = 1) -> FittingTable:
    """A table; arguments as its fields."""
    return FittingTable(title, rows, words)
