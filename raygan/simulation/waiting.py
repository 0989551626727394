"""How torch's threads wait for work."""

from __future__ import annotations

import os

SPINS = "1000"
"""Some microseconds, in turns of a loop of GNU's OpenMP; its own default is some milliseconds."""


def sleep_soon() -> None:
    """Threads of torch's that have nothing to do soon leave their core to others, such as other clients' threads or other
    programs.

    Call it before torch is imported: later it does nothing. What the environment says of it is kept.
    """
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", SPINS)
