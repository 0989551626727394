"""A mixed-integer linear program solved by HiGHS, within a time that is kept.

HiGHS looks at its time limit now and then: between parts of presolving and solving, which for thousands of devices take
many seconds each. A large program is therefore solved in a process of its own, which is ended when its time is over;
HiGHS is told to be ready a little earlier, so that most often it has a bound to give.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from raygan.cuts.problem import Deadline
from raygan.storage import read_arrays, write_arrays

Floats = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[Any]]
"""minimise cost x subject to A x >= least, x within [0, upper], some x whole; A as `data`, `indices`, `indptr`."""
Found = tuple[float, Floats | None]
"""A lower bound on the optimum, 0 if none is known, and the variables' values, if any were found."""

SOLVER_GAP = 1e-9  # relative; what HiGHS is asked for
LARGE = 50_000  # coefficients from which a program gets a process of its own: smaller ones end in time by themselves
EARLIER = 0.9  # of its time, after which HiGHS should be ready in a process of its own
PROGRAM, SOLVED = "program.safetensors", "solved.safetensors"


def solve_within(program: Arrays, limit_s: float, relaxed: bool) -> Found:
    """Solves a program.

    Args:
        limit_s: longest time, seconds.
        relaxed: only the bound of the linear relaxation.
    """
    if limit_s <= 0:
        return 0.0, None
    if len(program["data"]) < LARGE:
        return _solve(program, limit_s, relaxed)
    with tempfile.TemporaryDirectory(prefix="raygan-cuts-") as folder:
        return _solve_apart(Path(folder), program, limit_s, relaxed)


def _solve_apart(folder: Path, program: Arrays, limit_s: float, relaxed: bool) -> Found:
    deadline = Deadline(limit_s)
    write_arrays(folder / PROGRAM, program)
    command = [
        sys.executable,
        "-m",
        "raygan.cuts.milp",
        str(folder),
        str(time.time() + deadline.left_s),
        str(int(relaxed)),
    ]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    nothing = subprocess.DEVNULL
    with subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, env=environment) as process:
        with suppress(subprocess.TimeoutExpired):
            process.wait(deadline.left_s)
        process.kill()
    if not (folder / SOLVED).exists():
        return 0.0, None
    found = read_arrays(folder / SOLVED)
    return float(found["bound"]), found.get("values")


def _solve(program: Arrays, limit_s: float, relaxed: bool) -> Found:
    from scipy.optimize import Bounds, LinearConstraint, milp  # slow to import, and actors have no use for it
    from scipy.sparse import csr_array

    matrix = csr_array(
        (program["data"], program["indices"], program["indptr"]), shape=(len(program["least"]), len(program["cost"]))
    )
    with _quiet():
        result = milp(
            program["cost"],
            integrality=program["whole"] * (not relaxed),
            bounds=Bounds(0.0, program["upper"]),
            constraints=LinearConstraint(matrix, lb=program["least"]),
            options={"time_limit": limit_s, "mip_rel_gap": SOLVER_GAP},
        )
    proven = result.fun if relaxed and result.status == 0 else result.get("mip_dual_bound")
    bound = -np.inf if proven is None else float(proven)
    return (max(0.0, bound) if np.isfinite(bound) else 0.0), result.x


@contextmanager
def _quiet() -> Iterator[None]:
    """Within it, what C code prints is lost: some releases of HiGHS print a line of debugging on standard
    output whatever they are told, which would be in the way of `--json`."""
    try:
        kept = os.dup(1)
    except OSError:  # no standard output
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    try:
        yield
    finally:
        ctypes.CDLL(None).fflush(None)  # into a pipe, C writes late
        os.dup2(kept, 1)
        os.close(kept)


def main(folder: Path, end_s: float, relaxed: bool) -> None:
    """The process of its own: reads the program, writes what it finds, whole or not at all.

    Args:
        end_s: when it will be ended, seconds since 1970.
    """
    program = read_arrays(folder / PROGRAM)
    bound, values = _solve(program, EARLIER * max(0.0, end_s - time.time()), relaxed)
    write_arrays(folder / SOLVED, {"bound": np.array(bound)} | ({} if values is None else {"values": values}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "1")
