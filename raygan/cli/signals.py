"""SIGINT, SIGTERM and SIGHUP end a command at once; a run first ends its round with its checkpoint, if it is let."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def stopping_on_signals() -> Iterator[list[int]]:
    """All of them raise KeyboardInterrupt, the only exception that Ray's own waits let through.

    Yields:
        The signals that have come so far.
    """
    received: list[int] = []

    def stop(number: int, frame: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    with _handling(stop):
        yield received


class StopRequest:
    """Whether somebody wants a run to end: the first signal asks for it, the second one does not ask."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self._before = {number: signal.getsignal(number) for number in _heeded()}
        self.asked: int | None = None
        """The signal that has come."""

    def heeded(self) -> AbstractContextManager[None]:
        """For the time of a run whose rounds have begun."""
        return _handling(self._ask)

    def carry_out(self) -> None:
        """Ends the command as the signal would have done."""
        if self.asked is not None:
            handler = self._before[signal.Signals(self.asked)]
            assert callable(handler)
            handler(self.asked, None)

    def _ask(self, number: int, frame: object) -> None:
        again, self.asked = self.asked is not None, number
        if again:
            self.carry_out()
        self._tell()


@contextmanager
def _handling(handler: Callable[[int, object], None]) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in _heeded()}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _heeded() -> list[signal.Signals]:
    """Without hangups where whoever started this process has it ignore them, as `nohup` does."""
    ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return [number for number in STOPPING if number != signal.SIGHUP or not ignored]
