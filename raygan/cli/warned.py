"""Warnings of a command: raygan's own are a line each; those of libraries, which are for programmers, go to the log."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import raygan
from raygan.errors import first_line

LOG = logging.getLogger("raygan")
CHATTY = ("matplotlib", "PIL")
"""Libraries that warn by `logging`, which prints what nobody listens to."""


@contextmanager
def told_in_lines() -> Iterator[None]:
    """Within it. Who asks Python for warnings (`-W`, PYTHONWARNINGS) gets them as Python has them."""
    with warnings.catch_warnings():
        if not sys.warnoptions:
            warnings.showwarning = _show
            for name in CHATTY:
                logging.getLogger(name).addHandler(logging.NullHandler())
                logging.getLogger(name).propagate = False
        yield


def _show(message: Warning | str, category: type[Warning], filename: str, *_: Any, **__: Any) -> None:
    line = first_line(Warning(message))
    if Path(filename).is_relative_to(Path(raygan.__file__).parent) and category is UserWarning:
        LOG.warning(line)
        print(f"raygan: warning: {line}", file=sys.stderr)
    else:
        LOG.debug("%s: %s", category.__name__, line)
