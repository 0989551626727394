"""A quick good plan: one pair of cuts for each class of devices, improved by simple moves.

The exact solver starts from it: what cannot beat it need not be looked at, and a solver that runs out of
time has something to return.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from raygan.cuts.latency import REPEATS, Floats, Ints
from raygan.cuts.problem import Deadline, Problem

STARTS = 8  # uniform plans to start from, the best ones
SPLITS = 128  # ways to split a ranking of the classes in two that are tried
WORTH = 1 - 1e-12  # a move must get below this times the present latency


def local_search(task: Problem, deadline: Deadline) -> Ints:
    """The best assignment [K, 2] found; always allowed. At the deadline it ends with what it has."""
    best, best_s = None, np.inf
    for start in uniform_plans(task, STARTS):
        plan, seconds = _descend(task, start, deadline)
        if seconds < best_s:
            best, best_s = plan, seconds
        if deadline.left_s == 0:
            break
    assert best is not None
    return best[task.class_of]


def class_counts(task: Problem, network: int, plans: Ints) -> Floats:
    """Counts [P, C, n] of plans [P, C] that give all clients of a class the same cut of one network."""
    return np.eye(len(task.cuts[network]))[plans] * task.sizes[None, :, None]


def uniform_plans(task: Problem, most: int) -> Ints:
    """[S, C, 2]: at most `most` plans, as uniform as the classes' limits permit, about the best first."""
    uniform_s = []
    for network, cuts in enumerate(task.cuts):
        everyone = np.repeat(np.arange(len(cuts))[:, None], len(task.classes), axis=1)
        uniform_s.append(_seconds(task, network, everyone))
    order = np.argsort(np.add.outer(*uniform_s), axis=None, kind="stable")
    width = len(task.cuts[1])
    flat = task.allowed.reshape(len(task.classes), -1)
    first_allowed = flat.argmax(axis=1)
    plans = np.array([np.where(flat[:, pair], pair, first_allowed) for pair in order[:most]])
    return np.stack([plans // width, plans % width], axis=2)


def _seconds(task: Problem, network: int, plans: Ints) -> Floats:
    """[P]: one network's share of an iteration, for plans [P, C] of its cuts."""
    return REPEATS[network] * task.network_seconds(network, class_counts(task, network, plans))


def _descend(task: Problem, start: Ints, deadline: Deadline) -> tuple[Ints, float]:
    """Improve a plan [C, 2] until no move does: first many classes at a time, then one."""
    plan, improved = start.copy(), True
    while improved and deadline.left_s > 0:
        improved = _move_many(task, plan, deadline)
        if not improved:
            improved = _move_one(task, plan, deadline)
    return plan, sum(float(_seconds(task, network, plan[None, :, network])[0]) for network in (0, 1))


def _move_many(task: Problem, plan: Ints, deadline: Deadline) -> bool:
    """Split the classes by speed at a level: the fast ones rise to it, the slow ones fall below. In place."""
    improved = False
    for network, side, level, ranking in _rankings(task):
        if deadline.left_s == 0:
            break
        trials = _splits(task, plan, network, side, level, ranking)
        seconds = _seconds(task, network, np.concatenate([plan[None, :, network], trials]))
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
        pair_s = _moves_s(task, plan, member)
        best = np.unravel_index(np.where(task.allowed[member], pair_s, np.inf).argmin(), pair_s.shape)
        if pair_s[best] < pair_s[tuple(plan[member])] * WORTH:
            plan[member] = best
            improved = True
    return improved


def _moves_s(task: Problem, plan: Ints, member: int) -> Floats:
    """[n_G, n_D]: latency if one class moves to each pair of cuts."""
    network_s = []
    for network, cuts in enumerate(task.cuts):
        trials = np.repeat(plan[None, :, network], len(cuts), axis=0)
        trials[:, member] = np.arange(len(cuts))
        network_s.append(_seconds(task, network, trials))
    return np.add.outer(network_s[0], network_s[1])
