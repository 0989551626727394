"""A quick good plan: one pair of cuts for each class of devices, improved one class at a time.

The exact solver starts from it: what cannot beat it need not be looked at, and a solver that runs out of
time has something to return.
"""

from __future__ import annotations

import numpy as np

from raygan.cuts.latency import REPEATS, Floats, Ints
from raygan.cuts.problem import Deadline, Problem

STARTS = 8  # uniform plans to start from, the best ones


def local_search(task: Problem, deadline: Deadline) -> Ints:
    """The best assignment [K, 2] found; always allowed. At the deadline it ends with what it has."""
    best, best_s = None, np.inf
    for start in uniform_plans(task, STARTS):
        chosen, seconds = _descend(task, start, deadline)
        if seconds < best_s:
            best, best_s = chosen, seconds
        if deadline.left_s == 0:
            break
    assert best is not None
    return best[task.class_of]


def class_counts(task: Problem, network: int, cut_of_class: Ints) -> Ints:
    """Counts [P, C, n] of plans [P, C] that give all clients of a class the same cut."""
    one_hot = np.eye(len(task.cuts[network]), dtype=np.int64)[cut_of_class]
    return one_hot * task.sizes[None, :, None]


def uniform_plans(task: Problem, most: int) -> Ints:
    """[S, C, 2]: at most `most` plans, as uniform as the classes' limits permit, about the best first."""
    uniform_s = []
    for network, cuts in enumerate(task.cuts):
        everyone = np.repeat(np.arange(len(cuts))[:, None], len(task.classes), axis=1)
        uniform_s.append(REPEATS[network] * task.network_seconds(network, class_counts(task, network, everyone)))
    order = np.argsort(np.add.outer(*uniform_s), axis=None, kind="stable")
    width = len(task.cuts[1])
    flat = task.allowed.reshape(len(task.classes), -1)
    first_allowed = flat.argmax(axis=1)
    plans = np.array([np.where(flat[:, pair], pair, first_allowed) for pair in order[:most]])
    return np.stack([plans // width, plans % width], axis=2)


def _descend(task: Problem, start: Ints, deadline: Deadline) -> tuple[Ints, float]:
    """Sweep over the classes, giving each its best pair, until a sweep changes nothing."""
    current, current_s, improved = start.copy(), np.inf, True
    while improved:
        improved = False
        for member in range(len(task.classes)):
            pair_s = np.where(task.allowed[member], _moves_s(task, current, member), np.inf)
            best = np.unravel_index(pair_s.argmin(), pair_s.shape)
            if pair_s[best] < current_s * (1 - 1e-12):
                current[member], current_s, improved = best, float(pair_s[best]), True
            if deadline.left_s == 0:
                return current, current_s
    return current, current_s


def _moves_s(task: Problem, current: Ints, member: int) -> Floats:
    """[n_G, n_D]: latency if one class moves to each pair of cuts."""
    network_s = []
    for network, cuts in enumerate(task.cuts):
        trials = np.repeat(current[None, :, network], len(cuts), axis=0)
        trials[:, member] = np.arange(len(cuts))
        network_s.append(REPEATS[network] * task.network_seconds(network, class_counts(task, network, trials)))
    return np.add.outer(network_s[0], network_s[1])
