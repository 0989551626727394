"""Sets that another library keeps in `data.root`: opened as they are, downloaded only if they must be."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from raygan.errors import DataError, reason
from raygan.storage import one_at_a_time


def open_or_download(build: Callable[[bool], Any], root: Path, download: bool, where: str) -> Any:
    """`build(False)`, and if that fails and `download` is set, `build(True)`.

    Args:
        build: opens the set in `root`; called with whether it may download it there first.
        where: how the error names the set.

    Raises:
        DataError: the set is not in `root`, or not readable, and cannot be downloaded.
    """
    with contextlib.redirect_stdout(sys.stderr):  # some print; standard output may be a JSON document
        try:
            return build(False)
        except Exception as error:  # the libraries and their parsers raise many kinds
            if not download:
                remedy = "set data.download to true, or put the set's files there"
                raise _unavailable(where, root, error, remedy) from error
        try:
            with one_at_a_time(root):  # several actors of a machine must not download into one folder at once
                return build(True)
        except Exception as error:
            remedy = "connect to the network once, or put the set's files there yourself"
            raise _unavailable(where, root, error, remedy) from error


def _unavailable(where: str, root: Path, error: Exception, remedy: str) -> DataError:
    return DataError(where, f"not readable in {root} ({reason(error)})", remedy)
