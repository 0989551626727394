"""The proven optimum by mixed-integer linear programming (`program` has the formulation).

A local search first finds a good plan: what cannot beat it is left out of the program, and a solver that runs out
of time has something to return. It gives all clients of a class the same cuts, starts from uniform plans, and moves
many classes at a time, then one. Where there are many classes, so that the program is large, `limits` bounds what each
network takes before it is tried; the program has the rest of the time.

The generator and the discriminator share nothing but the devices' memory. If memory couples them for no class
of devices, two programs are solved, else one. The solver works in floating point: a gap of at most
`PROOF_GAP` counts as proof.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from raygan.cuts.latency import Bools, Floats, Ints
from raygan.cuts.limits import NetworkLimits, bounded
from raygan.cuts.milp import solve_within
from raygan.cuts.problem import Deadline, Problem
from raygan.cuts.program import ClassModel, Program, Sides, add_pass, is_product

PROOF_GAP = 1e-6  # relative
UNITS = 1000.0  # the best known latency in the program's unit, to which HiGHS's absolute tolerance, 1e-6, is small
NEVER_BETTER = 1 + 1e-6  # what costs more than this times the best known plan, all by itself, is left out
SEARCH_SHARE = 0.25  # of the time limit, at most, for the local search
MANY = 100  # classes from which `limits` is worth its while
BOUND_SHARE = 0.25  # of the time limit, at most, for its bound
STARTS = 8  # uniform plans to start from, the best ones
SPLITS = 128  # ways to split a ranking of the classes in two that are tried
WORTH = 1 - 1e-12  # a move must get below this times the present latency


@dataclass(frozen=True)
class Solution:
    """An assignment [K, 2] and a proven lower bound on the value of every assignment, seconds."""

    choice: Ints
    lower_bound_s: float


def solve(task: Problem, time_limit_s: float, relaxed: bool = False) -> Solution:
    """The optimal assignment; on a time limit the best found, and what is proven by then.

    Args:
        time_limit_s: longest time, seconds.
        relaxed: only a bound, in a fraction of the time: that of the linear relaxation, or of `limits`.
    """
    deadline = Deadline(time_limit_s)
    choice = local_search(task, Deadline(SEARCH_SHARE * time_limit_s))
    best_s = task.value(choice)
    if best_s == 0:
        return Solution(choice, 0.0)
    bounds_s = np.zeros(2)
    if len(task.classes) >= MANY:
        choice, bounds_s = _limited(task, choice, Deadline(BOUND_SHARE * time_limit_s))
        best_s = task.value(choice)
        if relaxed or best_s - bounds_s.sum() <= PROOF_GAP * best_s:
            return Solution(choice, min(float(bounds_s.sum()), best_s))
    allowed, floor_s = _worthwhile(task, best_s)
    bounds_s = np.maximum(bounds_s, floor_s)
    groups = [(0,), (1,)] if all(is_product(pairs) for pairs in allowed) else [(0, 1)]
    bound_s = 0.0
    for position, networks in enumerate(groups):
        share = Deadline(deadline.left_s / (len(groups) - position))
        bound, found = _solve_networks(task, allowed, networks, best_s / UNITS, share, relaxed)
        bound_s += max(bound * best_s / UNITS, float(bounds_s[list(networks)].sum()))
        if found is not None:
            merged = choice.copy()
            merged[:, networks] = found[:, networks]
            choice = min(choice, merged, key=task.value)
    return Solution(choice, min(bound_s, task.value(choice)))


def _limited(task: Problem, choice: Ints, deadline: Deadline) -> tuple[Ints, Floats]:
    """A better assignment if one is come by, and a bound on each network's share of the value, [2], by `limits`."""
    plan = choice[np.unique(task.class_of, return_index=True)[1]]
    bounds_s = np.zeros(2)
    for network in (0, 1):
        limits = NetworkLimits(task, network, np.any(task.allowed, axis=2 - network))
        bound_s, found = bounded(limits, plan[:, network], Deadline(deadline.left_s / (2 - network)))
        bounds_s[network] = task.passes[network][0].repeats * bound_s + _least_price_s(task, network)
        trial = plan.copy()
        trial[:, network] = found
        if task.allowed[np.arange(len(plan)), trial[:, 0], trial[:, 1]].all():
            plan = min(plan, trial, key=lambda one: float(task.plan_seconds(one[None])[0]))
    return plan[task.class_of], bounds_s


def _least_price_s(task: Problem, network: int) -> float:
    """What the bytes of a network count at least."""
    price_s = np.where(np.any(task.allowed, axis=2 - network), task.price_s[network], np.inf)
    return float(task.sizes @ price_s.min(axis=1))


def local_search(task: Problem, deadline: Deadline) -> Ints:
    """The best assignment [K, 2] found; always allowed. At the deadline it ends with what it has."""
    ends: list[tuple[Ints, float]] = []
    for start in task.uniform_plans(STARTS):
        ends.append(_descend(task, start, deadline))
        if deadline.left_s == 0:
            break
    best, _ = min(ends, key=lambda end: end[1])
    return best[task.class_of]


def _descend(task: Problem, start: Ints, deadline: Deadline) -> tuple[Ints, float]:
    """Improve a plan [C, 2] until no move does: first many classes at a time, then one."""
    plan = start.copy()
    while deadline.left_s > 0 and (_move_many(task, plan, deadline) or _move_one(task, plan, deadline)):
        pass
    return plan, float(task.plan_seconds(plan[None])[0])


def _move_many(task: Problem, plan: Ints, deadline: Deadline) -> bool:
    """Split the classes by speed at a level: the fast ones rise to it, the slow ones fall below. In place."""
    improved = False
    for network, side, level, ranking in _rankings(task):
        if deadline.left_s == 0:
            break
        trials = _splits(task, plan, network, side, level, ranking)
        seconds = task.network_seconds(network, np.concatenate([plan[None, :, network], trials]))
        best = int(seconds.argmin())
        if seconds[best] < seconds[0] * WORTH:
            plan[:, network] = trials[best - 1]
            improved = True
    return improved


def _rankings(task: Problem) -> Iterator[tuple[int, int, int, Ints]]:
    """Every (network, side, level, ranking [C] of the classes by their seconds at it)."""
    for network, (forward, backward) in enumerate(task.passes):
        tables = ((0, forward.ready_s), (0, backward.finish_s), (1, forward.finish_s), (1, backward.ready_s))
        for side, seconds in tables:
            for level in range(1, max(cut[side] for cut in task.cuts[network]) + 1):
                yield network, side, level, np.argsort(np.argsort(seconds[:, level], kind="stable"))


def _splits(task: Problem, plan: Ints, network: int, side: int, level: int, ranking: Ints) -> Ints:
    """[S, C]: cuts of one network after each split; a class that may not move stays."""
    cuts = np.array(task.cuts[network])
    place = np.full((cuts.max() + 1, cuts.max() + 1), -1)
    place[cuts[:, side], cuts[:, 1 - side]] = np.arange(len(cuts))
    now = cuts[plan[:, network]]
    most = len(ranking)
    fast = ranking < np.unique(np.linspace(0, most, min(most, SPLITS) + 1).astype(int))[:, None]
    target = np.where(fast, np.maximum(now[:, side], level), np.minimum(now[:, side], level - 1))
    moved = place[target, now[:, 1 - side]]
    members = np.arange(most)
    pair = (moved, plan[:, 1]) if network == 0 else (plan[:, 0], moved)
    return np.where((moved >= 0) & task.allowed[members, pair[0], pair[1]], moved, plan[:, network])


def _move_one(task: Problem, plan: Ints, deadline: Deadline) -> bool:
    """Give one class after the other its best pair of cuts, in place."""
    improved = False
    for member in range(len(task.classes)):
        if deadline.left_s == 0:
            break
        pair_s = task.moved_seconds(plan, [member])
        best = np.unravel_index(np.where(task.allowed[member], pair_s, np.inf).argmin(), pair_s.shape)
        if pair_s[best] < pair_s[tuple(plan[member])] * WORTH:
            plan[member] = best
            improved = True
    return improved


def _worthwhile(task: Problem, best_s: float) -> tuple[Bools, Floats]:
    """What the program must consider, and a bound that needs no program.

    Args:
        best_s: value of a known plan.

    Returns:
        [C, n_G, n_D]: the allowed pairs, less the levels that no plan of at most `best_s` can use;
        [2]: seconds that each network takes at least, because its slowest class would if it were alone.
    """
    kept: tuple[Bools, Bools] = (np.any(task.allowed, axis=2), np.any(task.allowed, axis=1))
    alone_s = [
        np.where(kept[network], _alone_s(task, network) + _prices_s(task, network, kept[network]), np.inf)
        for network in (0, 1)
    ]
    floor_s = np.array([seconds.min(axis=1).max() for seconds in alone_s])
    masks = [
        _levels_below(task, network, alone_s[network], best_s * NEVER_BETTER - floor_s[1 - network])
        for network in (0, 1)
    ]
    return task.allowed & masks[0][:, :, None] & masks[1][:, None, :], floor_s


def _alone_s(task: Problem, network: int) -> Floats:
    """[C, n]: seconds that a network's passes would take with one client of the class and nobody else."""
    total_s = np.zeros((len(task.classes), len(task.cuts[network])))
    for one in task.passes[network]:
        upto_s = np.cumsum(one.block_s)
        body_s = upto_s[one.num_blocks - 2 - one.leave] - upto_s[one.enter]
        total_s += one.ready_s[:, one.enter] + body_s + one.finish_s[:, one.leave]
    return task.passes[network][0].repeats * total_s


def _prices_s(task: Problem, network: int, kept: Bools) -> Floats:
    """[C, n]: what the bytes of all clients count at least, if one client of the class has the cut."""
    price_s = task.price_s[network]
    least_s = np.where(kept, price_s, np.inf).min(axis=1)
    total_s: Floats = price_s + (task.sizes @ least_s - least_s)[:, None]
    return total_s


def _levels_below(task: Problem, network: int, seconds: Floats, limit_s: float) -> Bools:
    """[C, n]: cuts both of whose levels appear in some cut of at most `limit_s`; keeps products products."""
    cuts = np.array(task.cuts[network])
    keep = np.ones(seconds.shape, dtype=bool)
    for side in (0, 1):
        for level in range(cuts[:, side].max() + 1):
            members = cuts[:, side] == level
            keep[:, members] &= (seconds[:, members].min(axis=1) <= limit_s)[:, None]
    return keep


def _solve_networks(
    task: Problem,
    allowed: Bools,
    networks: tuple[int, ...],
    unit_s: float,
    deadline: Deadline,
    relaxed: bool,
) -> tuple[float, Ints | None]:
    """The bound in units of `unit_s`, and the assignment if one was found (of these networks)."""
    program = Program()
    sides: dict[int, Sides] = {network: ([], []) for network in networks}
    models = []
    for member in range(len(allowed)):
        models.append(ClassModel(program, task, member, allowed[member], sides, unit_s))
        if deadline.left_s == 0:
            return 0.0, None
    for network in networks:
        for one, (enter, leave) in zip(task.passes[network], (sides[network], sides[network][::-1]), strict=True):
            add_pass(program, task, one, enter, leave, unit_s)
            if deadline.left_s == 0:
                return 0.0, None
    bound, values = solve_within(program.arrays(), deadline.left_s, relaxed)
    if values is None or relaxed:
        return bound, None
    choice = np.zeros((len(task.clients), 2), dtype=np.int64)
    for member, model in enumerate(models):
        choice[np.ix_(task.class_of == member, networks)] = model.choices(values)
    return bound, choice
