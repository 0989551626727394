"""Every error that a user can mend, in one place.

Each says what was required, what was found, and what to do about it, on one line. The command line
turns an `InputError` into that line and exit status 2; anything else is a bug and keeps its traceback.
All of them survive pickling, because they are raised inside actors and read in the driver.
"""

from __future__ import annotations

MAX_LENGTH = 1000


class InputError(ValueError):
    """Something that the user gave and can mend: a key, a file, a number.

    Args:
        where: the key or file, as the user would write it (`training.lr`, `faces.npz`).
        found: what was found there.
        remedy: what to do, an imperative phrase without a full stop.
    """

    def __init__(self, where: str, found: str, remedy: str) -> None:
        super().__init__(where, found, remedy)
        self.where, self.found, self.remedy = where, found, remedy

    def __str__(self) -> str:
        return _one_line(f"{self.where}: {self.found}; {self.remedy}")


def _one_line(text: str) -> str:
    """A user's keys and files may hold anything: line ends and control characters become spaces."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= MAX_LENGTH else line[: MAX_LENGTH - 4] + " ..."


class ConfigError(InputError):
    """A configuration that cannot be run."""


class DataError(InputError):
    """A data source that is missing, corrupt or empty."""


class CutError(InputError):
    """A cut that is not valid for its network, or a fleet for which no valid cut exists."""


class RunError(InputError):
    """A run's folder that is missing, incomplete or not what it should be."""


class StoppedError(RuntimeError):
    """A run that cannot go on now, through no fault of its input; its last checkpoint is whole."""


class WireError(RuntimeError):
    """Something that the wire contract does not allow was about to cross an actor boundary."""
