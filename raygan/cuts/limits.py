"""A lower bound on what a network takes, from limits on its two passes: quick for thousands of different devices.

Say that the forward pass ends by x and the backward pass by y. Which cuts can a client still have? A pass ends, by the
formulas of `latency`, at

    max over clients i, j with h_i + t_j <= B - 3 of   H_i + sum_{b = h_i + 1 .. B-2-t_j} F_b n_b / c_s + (R - T)_j

so a cut is out where that is past the limit for its client and, of each other one, the best cut that is left to it; a
block's n_b are at least those clients that no cut is left to without it. With cuts that are out there are more of
these, so more cuts are out, and so on until nothing changes. If a client is left without a cut, no plan keeps to x and y.

The least y that is not refuted falls with x. `bounded` cuts the values that x can have into intervals: within [a, b] the
two passes take at least a + y(b). It halves the interval with the lowest bound, and meanwhile tries a plan that is made
of the cuts that are left.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from raygan.cuts.latency import Bools, Floats, Ints, PassTimes
from raygan.cuts.problem import Deadline, Problem

CLOSE = 1e-7  # relative; nearer limits are not told apart
ROUNDING = 1e-12  # relative; of sums, which must not refute a limit that is just kept


@dataclass(frozen=True)
class _Pass:
    """One pass, with what does not change from limit to limit."""

    times: PassTimes
    outside: Floats
    """[n, B]: 1 where a cut keeps the block out of the body."""
    meets: Bools
    """[L, L]: whether a client that enters at a level meets one that leaves at another."""

    @classmethod
    def of(cls, times: PassTimes) -> _Pass:
        blocks, levels = np.arange(times.num_blocks), np.arange(times.num_blocks - 2)
        last = times.num_blocks - 1
        inside = (times.enter[:, None] < blocks) & (blocks < last - times.leave[:, None])
        return cls(times, (~inside).astype(float), np.add.outer(levels, levels) <= times.num_blocks - 3)

    def possible(self, left: Bools, sizes: Ints, limit_s: float) -> Bools:
        """Of the cuts that are left to each class, [C, n], those with which the pass may end in time."""
        one, limit_s = self.times, limit_s * (1 + ROUNDING)
        num_inside = sizes @ (left @ self.outside == 0)
        upto_s = np.cumsum(one.block_s * num_inside)
        levels = np.arange(one.num_blocks - 2)
        body_s = np.where(self.meets, upto_s[one.num_blocks - 2 - levels][None, :] - upto_s[levels][:, None], -np.inf)
        ready_s, finish_s = one.ready_s[:, one.enter], one.finish_s[:, one.leave]
        after = [_worst(left, body_s[level, one.leave] + finish_s) for level in levels]
        before = [_worst(left, ready_s + body_s[one.enter, level]) for level in levels]
        alone_s = ready_s + body_s[one.enter, one.leave] + finish_s
        path_s = np.maximum(ready_s + np.array(after)[one.enter], np.array(before)[one.leave] + finish_s)
        kept: Bools = left & (np.maximum(path_s, alone_s) <= limit_s)
        return kept


def _worst(left: Bools, seconds: Floats) -> float:
    """Over the classes the longest of the shortest of [C, n] seconds, of the cuts that are left."""
    return float(np.where(left, seconds, np.inf).min(axis=1).max())


class NetworkLimits:
    """One network of a problem.

    Args:
        allowed: [C, n], its cuts that each class may have.
    """

    def __init__(self, task: Problem, network: int, allowed: Bools) -> None:
        self._task, self._network, self._allowed = task, network, allowed
        self._forward, self._backward = (_Pass.of(times) for times in task.passes[network])
        self._order = np.argsort([-h - t for h, t in task.cuts[network]], kind="stable")

    def left(self, x_s: float, y_s: float) -> Bools | None:
        """[C, n]: the cuts that are left if the passes end by x and by y; None: some class has none, so they do not."""
        left = self._allowed
        while True:
            kept = self._forward.possible(left, self._task.sizes, x_s)
            if not kept.any(axis=1).all():
                return None
            kept = self._backward.possible(kept, self._task.sizes, y_s)
            if not kept.any(axis=1).all():
                return None
            if (kept == left).all():
                return kept
            left = kept

    def least_y_s(self, x_s: float, low_s: float, high_s: float) -> float:
        """A y that is refuted with x, or `low_s`, which is known to be, just below one that is not; at most `high_s`."""
        while high_s - low_s > CLOSE * high_s:
            middle_s = (low_s + high_s) / 2
            low_s, high_s = (middle_s, high_s) if self.left(x_s, middle_s) is None else (low_s, middle_s)
        return low_s

    def least_x_s(self, high_s: float) -> float:
        """As `least_y_s`, of x, whatever y is."""
        low_s = 0.0
        while high_s - low_s > CLOSE * high_s:
            middle_s = (low_s + high_s) / 2
            low_s, high_s = (middle_s, high_s) if self.left(middle_s, np.inf) is None else (low_s, middle_s)
        return low_s

    def plan(self, left: Bools) -> Ints:
        """[C]: of the cuts that are left to each class, the one that keeps the most blocks on it."""
        chosen: Ints = self._order[left[:, self._order].argmax(axis=1)]
        return chosen

    def seconds(self, plan: Ints) -> float:
        """A pass forward and one back, for a plan [C]."""
        counts = np.eye(len(self._task.cuts[self._network]))[plan] * self._task.sizes[:, None]
        return sum(float(one.seconds(counts[None])[0]) for one in self._task.passes[self._network])


def bounded(limits: NetworkLimits, plan: Ints, deadline: Deadline) -> tuple[float, Ints]:
    """A lower bound on a pass forward and one back, seconds, and the best plan [C] that was come by.

    Args:
        plan: the best that is known.
    """
    best_s, best = limits.seconds(plan), plan
    first_s, least_s = limits.least_x_s(best_s), limits.least_y_s(np.inf, 0.0, best_s)
    last_s = best_s - least_s
    intervals = [(first_s + least_s, first_s, last_s, least_s, best_s)]
    while deadline.left_s > 0 and intervals[0][0] < best_s * (1 - CLOSE):
        _, low_s, high_s, y_at_high_s, y_at_low_s = heapq.heappop(intervals)
        middle_s = (low_s + high_s) / 2
        y_s = limits.least_y_s(middle_s, y_at_high_s, y_at_low_s)
        left = limits.left(middle_s, y_s * (1 + 2 * CLOSE))
        if left is not None:
            tried = limits.plan(left)
            if (tried_s := limits.seconds(tried)) < best_s:
                best_s, best = tried_s, tried
        heapq.heappush(intervals, (low_s + y_s, low_s, middle_s, y_s, y_at_low_s))
        heapq.heappush(intervals, (middle_s + y_at_high_s, middle_s, high_s, y_at_high_s, y_s * (1 + 2 * CLOSE)))
    return min(best_s, intervals[0][0]), best
