"""What a process does with the memory of arrays that it no longer needs."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
"""Parameters of glibc's `mallopt`."""
NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Freed arrays stay with the process for the next step.

    glibc returns large arrays to the kernel at once, which then clears every page of the next step's: up to a
    quarter of a step's CPU time. Does nothing where the C library is another.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, NEVER)
