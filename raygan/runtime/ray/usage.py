"""What a process uses: its seconds by kind, its CPU time, its memory."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import psutil  # Ray ships it

from raygan.wire.records import Usage


class Clock:
    """Adds up seconds by kind: `wait`, `work`, `send`."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def timing(self, kind: str) -> Iterator[None]:
        """The time inside counts as of this kind."""
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[kind] += time.perf_counter() - started


def process_usage(clock: Clock) -> Usage:
    """What this process has used so far."""
    process = psutil.Process()
    cpu, memory = process.cpu_times(), process.memory_full_info()
    return Usage(
        wait_s=clock.seconds["wait"],
        work_s=clock.seconds["work"],
        send_s=clock.seconds["send"],
        cpu_s=cpu.user + cpu.system,
        memory_bytes=memory.uss,
    )


def process_age_s() -> float:
    """Seconds since this process began."""
    return time.time() - psutil.Process().create_time()
