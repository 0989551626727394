"""How a command that is stopped goes on: said first, and whenever it stops."""

from __future__ import annotations

import shlex
from pathlib import Path


class GoingOn:
    """Of the command that this process runs."""

    def __init__(self) -> None:
        self._command, self._file = "", Path()
        self.begun = False
        """Whether its work has begun, so that an error stops something that can go on."""

    def begin(self, command: str, folder: Path, file: str) -> None:
        """Work in a folder is about to begin.

        Args:
            command: `raygan train --resume`.
            file: in the folder; once it is there, the command can be used.
        """
        self._command, self._file, self.begun = f"{command} {shlex.quote(str(folder))}", folder / file, False

    @property
    def command(self) -> str:
        """What to type."""
        return self._command

    @property
    def hint(self) -> str:
        """For the end of a line that says that it stopped; empty: there is nothing yet to go on with."""
        return f"; it goes on with {self._command}" if self._command and self._file.exists() else ""


GOING_ON = GoingOn()
