"""The command line in this process."""

from __future__ import annotations

import contextlib
import io
import sys
from dataclasses import dataclass
from unittest.mock import patch

from raygan.cli import main


@dataclass(frozen=True)
class Outcome:
    """What a command left."""

    status: int
    out: str
    err: str

    def assert_refused(self, *words: str) -> None:
        """Exit status 2 and one line on standard error, with these words in it."""
        assert self.status == 2, self
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("raygan: ")
        assert "Traceback" not in self.out + self.err
        for word in words:
            assert word in self.err


def command(*arguments: object) -> Outcome:
    """Runs `raygan ARGUMENTS`."""
    out, err = io.StringIO(), io.StringIO()
    streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
    with patch.object(sys, "argv", ["raygan", *map(str, arguments)]), streams[0], streams[1]:
        try:
            main()
            status = 0
        except SystemExit as stopped:
            status = int(stopped.code or 0)
    return Outcome(status, out.getvalue(), err.getvalue())
