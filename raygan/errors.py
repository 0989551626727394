"""Every error that a user can mend, and the phrases that several of them share, in one place.

Each says what was required, what was found, and what to do about it, on one line. The command line
turns an `InputError` into that line and exit status 2; anything else is a bug and keeps its traceback.
All of them survive pickling, because they are raised inside actors and read in the driver.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence

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


class PolicyError(DataError):
    """A site whose owner does not allow what it is asked for."""


class CutError(InputError):
    """A cut that is not valid for its network, or a fleet for which no valid cut exists."""


class RunError(InputError):
    """A run's folder that is missing, incomplete or not what it should be."""


class StoppedError(RuntimeError):
    """A run that cannot go on now, through no fault of its input; its last checkpoint is whole."""


class PeerLostError(RuntimeError):
    """Another replica of a server is gone, or has failed: so has this one, through no fault of its own."""


class WireError(RuntimeError):
    """Something that the wire contract does not allow was about to cross an actor boundary."""


def instead_of(name: str, known: Sequence[str], shown: Sequence[str] | None = None) -> str:
    """The remedy for a name that is not known: the nearest one, or else which there are.

    Args:
        name: what the user wrote.
        known: what could have been meant.
        shown: what to list where nothing is near; None: all that is known.
    """
    for written in (name, name.lower()):
        if close := difflib.get_close_matches(written, known, n=1, cutoff=0.5):
            return f"did you mean {close[0]!r}?"
    names = known if shown is None else shown
    return f"use one of {', '.join(names)}" if names else "remove it"


def known_names(name: str, known: Sequence[str]) -> str:
    """As `instead_of` for names of data sets, of which nobody knows all: the nearest one, and which there are."""
    near = "".join(f"did you mean {close}? " for close in difflib.get_close_matches(name, known, n=1))
    return f"{near}known names: {', '.join(known)}"


def reason(error: BaseException, length: int = 160) -> str:
    """The error's text on one line, cut off after `length` characters; of one without a text, its kind."""
    return " ".join(str(error).split())[:length] or type(error).__name__


def first_line(error: BaseException) -> str:
    """Of the error's text, which may be many lines long; of one without a text, its kind."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
