"""What a command says while it works: as much as its user asked for, never wrapped in a pipe, in a log file too."""

from __future__ import annotations

import io
import logging
from pathlib import Path
from typing import Literal

from rich.console import Console
from rich.markup import escape

from raygan.cli.tables import UNWRAPPED, FittingTable, make_console
from raygan.errors import InputError

Level = Literal["quiet", "normal", "verbose"]
LOG = logging.getLogger("raygan")
"""What is said, for whoever listens with Python's `logging`."""
LOG.addHandler(logging.NullHandler())


class Screen:
    """Standard output, and the log.

    Args:
        level: quiet: warnings alone; verbose: details too. The log has all of it.
    """

    def __init__(self, level: Level = "normal", stderr: bool = False) -> None:
        self.level, self.console = level, make_console(stderr)

    @property
    def moves(self) -> bool:
        """Whether somebody looks at lines that move."""
        return self.console.is_terminal and self.level != "quiet"

    def tell(self, text: str) -> None:
        """A line; none where it is to be quiet."""
        LOG.info(text)
        if self.level != "quiet":
            self._line(escape(text))

    def detail(self, text: str) -> None:
        """A line for those who asked for more."""
        LOG.debug(text)
        if self.level == "verbose":
            self._line(escape(text))

    def warn(self, text: str) -> None:
        """A line for everybody."""
        LOG.warning(text)
        self._line(f"[yellow]warning[/yellow] {escape(text)}")

    def show(self, table: FittingTable) -> None:
        """A table."""
        plain = Console(file=io.StringIO(), width=UNWRAPPED)
        plain.print(table)
        for line in plain.file.getvalue().splitlines():  # type: ignore[attr-defined]
            LOG.info(line)
        if self.level != "quiet":
            self.console.print(table)

    def _line(self, markup: str) -> None:
        self.console.print(markup, soft_wrap=True)


_screens = [Screen()]


def current() -> Screen:
    """That of the command that this process runs."""
    return _screens[-1]


def make_screen(quiet: bool, verbose: bool, log_file: Path | None, stderr: bool = False) -> Screen:
    """The screen that a command's options ask for.

    Raises:
        InputError: options that contradict each other, or a log file that cannot be written.
    """
    if quiet and verbose:
        raise InputError("--quiet", "given with --verbose", "give one of them")
    if log_file is not None:
        _log_to(log_file)
    _screens[:] = [Screen("quiet" if quiet else "verbose" if verbose else "normal", stderr)]
    return current()


def _log_to(path: Path) -> None:
    """Appends the log to a file. A disk that fills up does not stop a run."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handler = logging.FileHandler(path, encoding="utf-8")
    except OSError as error:
        raise InputError("--log-file", f"{path} cannot be written ({error.strerror})", "choose another") from None
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logging.raiseExceptions = False
    for former in [kept for kept in LOG.handlers if isinstance(kept, logging.FileHandler)]:
        LOG.removeHandler(former)
        former.close()
    LOG.addHandler(handler)
    LOG.setLevel(logging.DEBUG)
