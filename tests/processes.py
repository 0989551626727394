"""Processes below another one, from /proc."""

from __future__ import annotations

import time
from pathlib import Path


def descendants(process: int) -> list[int]:
    """Process ids of everything below a process, at any depth."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = status.read_text().rpartition(")")[2].split()[:2]
        except OSError:
            continue
        if state not in "ZX":
            children.setdefault(int(parent), []).append(int(status.parent.name))
    below, found = [process], []
    while below:
        below = [child for one in below for child in children.get(one, [])]
        found += below
    return found


def are_gone(processes: list[int], within_s: float = 30.0) -> bool:
    """Whether all of them end in time."""
    ends = time.monotonic() + within_s
    while time.monotonic() < ends:
        if not any(runs(process) for process in processes):
            return True
        time.sleep(0.2)
    return False


def runs(process: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
