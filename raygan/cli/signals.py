"""SIGINT and SIGTERM end a command at once: actors are ended, and the last whole round is what a run keeps."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

STOPPING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stopping_on_signals() -> Iterator[list[int]]:
    """Both signals raise KeyboardInterrupt, the only exception that Ray's own waits let through.

    Yields:
        The signals that have come so far.
    """
    received: list[int] = []

    def stop(number: int, frame: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, stop) for number in STOPPING}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
