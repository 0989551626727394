"""The proven optimum by mixed-integer linear programming (`program` has the formulation).

The generator and the discriminator share nothing but the devices' memory. If memory couples them for no class of
devices, two programs are solved, else one. The solver works in floating point: a gap of at most
`PROOF_GAP` counts as proof.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from raygan.cuts.classes import ClassModel, networks_are_independent, worthwhile
from raygan.cuts.latency import Floats, Ints
from raygan.cuts.local_search import local_search
from raygan.cuts.problem import Deadline, Problem
from raygan.cuts.program import Program, Sides, add_network

PROOF_GAP = 1e-6  # relative; HiGHS keeps integrality and rows to 1e-6 and 1e-7
UNITS = 1000.0
SOLVER_GAP = 1e-9  # what HiGHS is asked for


@dataclass(frozen=True)
class Solution:
    """An assignment [K, 2] and a proven lower bound on the latency of every assignment, seconds."""

    choice: Ints
    lower_bound_s: float


def solve(task: Problem, time_limit_s: float, relaxed: bool = False) -> Solution:
    """The optimal assignment; on a time limit the best found, and what is proven by then.

    Args:
        task: the problem.
        time_limit_s: longest time, seconds.
        relaxed: only the bound of the linear relaxation, in a fraction of the time.
    """
    deadline = Deadline(time_limit_s)
    choice = local_search(task, deadline)
    best_s = task.latency(choice)
    unit_s=best_s/UNITS
    if best_s == 0:
        return Solution(choice, 0.0)
    allowed = worthwhile(task, best_s)
    groups = [(0,), (1,)] if networks_are_independent(allowed) else [(0, 1)]
    bound_s = 0.0
    for position, networks in enumerate(groups):
        limit_s = deadline.left_s / (len(groups) - position)
        bound, found = _solve_networks(task, allowed, networks, unit_s, limit_s, relaxed)
        bound_s += bound * unit_s
        if found is not None:
            merged = choice.copy()
            merged[:, networks] = found[:, networks]
            choice = min(choice, merged, key=task.latency)
    return Solution(choice, min(bound_s, task.latency(choice)))


def _solve_networks(
    task: Problem, allowed: np.ndarray, networks: tuple[int, ...], scale_s: float, limit_s: float, relaxed: bool
) -> tuple[float, Ints | None]:
    """The bound in units of `scale_s`, and the assignment if one was found (other networks' column is unused)."""
    program = Program()
    sides: dict[int, Sides] = {network: ([], []) for network in networks}
    models = [
        ClassModel(program, task, member, allowed[member], sides) for member in range(len(task.classes))
    ]
    for network in networks:
        add_network(program, task, network, sides[network], scale_s)
    bound, values = run(program, limit_s, relaxed)
    if values is None or relaxed:
        return bound, None
    choice = np.zeros((len(task.clients), 2), dtype=np.int64)
    for member, model in enumerate(models):
        choice[task.class_of == member] = model.choices(values)
    return bound, choice


def run(program: Program, limit_s: float, relaxed: bool) -> tuple[float, Floats | None]:
    """Solve a program: (lower bound on its optimum, values of the variables if any were found)."""
    result = milp(
        np.array(program.cost),
        integrality=np.zeros(len(program.cost)) if relaxed else np.array(program.whole, dtype=int),
        bounds=Bounds(0.0, np.array(program.upper)),
        constraints=LinearConstraint(program.matrix(), lb=np.array(program.least)),
        options={"time_limit": max(limit_s, 0.01), "mip_rel_gap": SOLVER_GAP},
    )
    bound = result.get("mip_dual_bound")
    if bound is None or not np.isfinite(bound):
        bound = result.fun if relaxed and result.status == 0 else 0.0
    return max(0.0, float(bound)), result.x
