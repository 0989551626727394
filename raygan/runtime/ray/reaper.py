"""Run as a program: waits until standard input ends, which is when the driver does, and then for some seconds until the
processes that it was told of have ended; kills the others."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress

PATIENCE_S = 4.0


def is_there(pid: int, started: float) -> bool:
    """Whether the process still runs, and is no later one of that number."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            state, *fields = file.read().rpartition(")")[2].split()
        with open("/proc/stat", encoding="utf-8") as file:
            booted = next(float(line.split()[1]) for line in file if line.startswith("btime"))
    except OSError:
        return False
    since = booted + int(fields[18]) / os.sysconf("SC_CLK_TCK")
    return state != "Z" and abs(since - started) < 2


def main() -> None:
    """Arguments: `PID STARTED`, seconds since 1970."""
    mine = [(int(pid), float(started)) for pid, _, started in (entry.partition(" ") for entry in sys.argv[1:])]
    while os.read(0, 4096):
        pass
    ends = time.monotonic() + PATIENCE_S
    while any(is_there(*process) for process in mine) and time.monotonic() < ends:
        time.sleep(0.1)
    for process in mine:
        if is_there(*process):
            with suppress(OSError):
                os.kill(process[0], signal.SIGKILL)


if __name__ == "__main__":
    main()
