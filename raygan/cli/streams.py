"""Standard output and error that survive their reader: a pipe that is closed (`| head -1`) or a terminal that is gone
does not stop a run."""

from __future__ import annotations

import errno
import io
import sys
from typing import Any

GONE = (errno.EPIPE, errno.EIO)
"""Nobody reads there any more."""


class _Raw(io.FileIO):
    """A file descriptor, written to for as long as somebody reads and nothing has failed."""

    _failed = False

    def write(self, content: Any) -> int:
        """The bytes written; once nobody reads, or after an error that was raised, all that there were."""
        try:
            return memoryview(content).nbytes if self._failed else super().write(content) or 0
        except OSError as error:
            self._failed = True  # what is still in a buffer when the process ends must not fail again
            if error.errno not in GONE:
                raise
            return memoryview(content).nbytes


def outlive_readers() -> None:
    """For both streams, where they are a process's own and not already replaced, as by a test."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is getattr(sys, f"__{name}__") and stream is not None:
            raw = _Raw(stream.fileno(), "w", closefd=False)
            lines = stream.isatty() or name == "stderr"
            kept = io.TextIOWrapper(
                io.BufferedWriter(raw), encoding=stream.encoding, errors=stream.errors, line_buffering=lines
            )
            setattr(sys, name, kept)
