"""The proven optimum by mixed-integer linear programming (`program` has the formulation).

The generator and the discriminator share nothing but the devices' memory. If memory couples them for no class
of devices, two programs are solved, else one. The solver works in floating point: a gap of at most
`PROOF_GAP` counts as proof.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from raygan.cuts.classes import ClassModel, networks_are_independent, worthwhile
from raygan.cuts.cut import Allowed
from raygan.cuts.latency import Floats, Ints
from raygan.cuts.local_search import local_search
from raygan.cuts.problem import Deadline, Problem
from raygan.cuts.program import Program, Sides, add_network

PROOF_GAP = 1e-6  # relative
SOLVER_GAP = 1e-9  # relative; what HiGHS is asked for
UNITS = (
    1000.0  # the best known latency in the program's unit: HiGHS's absolute tolerance, 1e-6, is small to it
)
SEARCH_SHARE = 0.25  # of the time limit, at most, for the local search


@dataclass(frozen=True)
class Solution:
    """An assignment [K, 2] and a proven lower bound on the latency of every assignment, seconds."""

    choice: Ints
    lower_bound_s: float


def solve(task: Problem, time_limit_s: float, relaxed: bool = False) -> Solution:
    """The optimal assignment; on a time limit the best found, and what is proven by then.

    Args:
        task: the problem.
        time_limit_s: longest time, seconds; kept to within a few seconds for a thousand different devices.
        relaxed: only the bound of the linear relaxation, in a fraction of the time.
    """
    deadline = Deadline(time_limit_s)
    choice = local_search(task, Deadline(SEARCH_SHARE * time_limit_s))
    best_s = task.latency(choice)
    if best_s == 0:
        return Solution(choice, 0.0)
    allowed, floor_s = worthwhile(task, best_s)
    groups = [(0,), (1,)] if networks_are_independent(allowed) else [(0, 1)]
    bound_s = 0.0
    for position, networks in enumerate(groups):
        share = Deadline(deadline.left_s / (len(groups) - position))
        bound, found = _solve_networks(task, allowed, networks, best_s / UNITS, share, relaxed)
        bound_s += max(bound * best_s / UNITS, float(floor_s[list(networks)].sum()))
        if found is not None:
            merged = choice.copy()
            merged[:, networks] = found[:, networks]
            choice = min(choice, merged, key=task.latency)
    return Solution(choice, min(bound_s, task.latency(choice)))


def _solve_networks(
    task: Problem,
    allowed: Allowed,
    networks: tuple[int, ...],
    unit_s: float,
    deadline: Deadline,
    relaxed: bool,
) -> tuple[float, Ints | None]:
    """The bound in units of `unit_s`, and the assignment if one was found (of these networks)."""
    program = Program()
    sides: dict[int, Sides] = {network: ([], []) for network in networks}
    models = [ClassModel(program, task, member, allowed[member], sides) for member in range(len(allowed))]
    for network in networks:
        add_network(program, task, network, sides[network], unit_s)
    bound, values = run(program, deadline.left_s, relaxed)
    if values is None or relaxed:
        return bound, None
    choice = np.zeros((len(task.clients), 2), dtype=np.int64)
    for member, model in enumerate(models):
        choice[task.class_of == member] = model.choices(values)
    return bound, choice


def run(program: Program, limit_s: float, relaxed: bool) -> tuple[float, Floats | None]:
    """Solve a program: (lower bound on its optimum, 0 if none is known; values of the variables if found)."""
    if limit_s == 0:
        return 0.0, None
    with _quiet():
        result = milp(
            np.array(program.cost),
            integrality=np.array(program.whole, dtype=np.int64) * (not relaxed),
            bounds=Bounds(0.0, np.array(program.upper)),
            constraints=LinearConstraint(program.matrix(), lb=np.array(program.least)),
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
