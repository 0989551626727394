"""The planning problem as a mixed-integer linear program. No big constants: every constraint is tight.

Where the server has replicas, a block that any client leaves to it (n_b > 0) has one binary more, times S_b.

For each class c of clients, network, side (0: the blocks before the body, 1: those after it, as the forward
pass sees them) and level l:

    a[c, side, l] in {0, 1}     some client of the class uses the level
    m[c, side, l]               how many do; m <= N_c a

All times follow from them, with the symbols of `latency`:

    n_b = K - sum_{c, l >= b} m[c, 0, l] - sum_{c, l >= B-1-b} m[c, 1, l]
    T_b >= T_{b-1} + F_b n_b / c_s
    T_b >= max_c H_{c, b-1} a[c, 0, b-1] + F_b n_b / c_s
    forward >= T_{B-2-l} + max_c (A / r_s + tail)_{c, l} a[c, 1, l]
    T_b >= sum_{l < b} H_{c, l} m[c, 0, l] / N_c + F_b n_b / c_s       for each c; and the same for tails

and in mirror image for the backward pass. The program minimises the sum of the passes. Where nobody enters
or leaves, the maximum is 0, and the constraint is true anyway: whoever is inside leaves later. The last
line is true because a mean is at most the maximum; it tightens the relaxation. Each maximum over classes is
written with one binary u_k a class, in ascending order of seconds s_k: "someone at least as slow as class k
is at this level". So u_k >= a_k, u_k >= u_{k+1}, and the maximum is sum_k (s_k - s_{k-1}) u_k: in the
relaxation far tighter than one constraint a class.

**Interchangeable clients are counted.** Where nothing ties a class's sides together (the anchor is given
and memory leaves a product of levels), all its clients may take the same level: give every client of the
class the highest level that some client of it uses. Every time that then occurs was already in a maximum,
and no n_b grows, so no pass gets longer. Such a class needs one binary a level, and m = N_c a. Any other
class has one integer count for each cut (for each pair of cuts, if memory couples the networks), and so has
every class where bytes have a price (`cuts.objective: weighted`), since the highest level may be the dearest.
A client's bytes are the sum of its sides', so their price is a cost of m.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from raygan.cuts.latency import Bools, Floats, Ints, PassTimes
from raygan.cuts.milp import Arrays
from raygan.cuts.problem import Problem

Terms = Mapping[int, float]
"""A linear expression: variable -> coefficient."""


@dataclass
class Program:
    """minimise cost x subject to rows x >= least, x within [0, upper], some x whole."""

    cost: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)
    least: list[float] = field(default_factory=list)
    cells: list[tuple[int, int, float]] = field(default_factory=list)

    def variable(self, upper: float = np.inf, whole: bool = False, cost: float = 0.0) -> int:
        """A new variable, at least 0."""
        self.cost.append(cost)
        self.upper.append(upper)
        self.whole.append(whole)
        return len(self.cost) - 1

    def at_least(self, least: float, *expressions: Terms) -> None:
        """The sum of the expressions is at least `least`."""
        row = len(self.least)
        self.least.append(least)
        self.cells.extend((row, column, value) for column, value in total(*expressions).items())

    def equal(self, value: float, *expressions: Terms) -> None:
        """The sum of the expressions is `value`."""
        self.at_least(value, *expressions)
        self.at_least(-value, scaled(-1.0, total(*expressions)))

    def arrays(self) -> Arrays:
        """For `raygan.cuts.milp`."""
        from scipy.sparse import csr_array  # slow to import, and actors have no use for it

        rows, columns, values = zip(*self.cells, strict=True)
        matrix = csr_array((values, (rows, columns)), shape=(len(self.least), len(self.cost)))
        return {
            "cost": np.array(self.cost),
            "upper": np.array(self.upper),
            "whole": np.array(self.whole, dtype=np.int64),
            "least": np.array(self.least),
            **{name: getattr(matrix, name) for name in ("data", "indices", "indptr")},
        }


def total(*expressions: Terms) -> dict[int, float]:
    """The sum of linear expressions."""
    result: dict[int, float] = {}
    for expression in expressions:
        for column, value in expression.items():
            result[column] = result.get(column, 0.0) + value
    return result


def scaled(factor: float, expression: Terms) -> dict[int, float]:
    """A linear expression times a number."""
    return {column: factor * value for column, value in expression.items()}


@dataclass
class Usage:
    """How the clients of one class use the levels of one side: activation and count, by level."""

    active: dict[int, Terms] = field(default_factory=dict)
    count: dict[int, Terms] = field(default_factory=dict)


Sides = tuple[list[Usage], list[Usage]]
"""Usage of each class on each side of one network."""


def is_product(pairs: Bools) -> bool:
    """Whether any allowed cut of one network may go with any of the other: pairs [n_G, n_D] of one class."""
    return bool((np.outer(pairs.any(axis=1), pairs.any(axis=0)) == pairs).all())


Key = tuple[int, int]
"""(network, side)."""


def _independent(keys: Sequence[Key], options: Ints) -> Iterator[tuple[Sequence[Key], Ints]]:
    """Levels [n, keys] that may be used together, taken apart into parts whose levels may be combined freely."""
    half = len(keys) // 2
    first, second = (np.unique(part, axis=0) for part in (options[:, :half], options[:, half:]))
    if half and len(first) * len(second) == len(options):
        yield from _independent(keys[:half], first)
        yield from _independent(keys[half:], second)
    else:
        yield keys, options


class ClassModel:
    """The variables of one class: adds them to the program, and its usage of levels to `sides`."""

    def __init__(
        self, program: Program, task: Problem, member: int, allowed: Bools, sides: dict[int, Sides], scale_s: float
    ) -> None:
        self._cuts, self._size = {network: task.cuts[network] for network in sides}, int(task.sizes[member])
        self._side_s, self._scale_s = task.side_s, scale_s
        self._parts: list[tuple[Sequence[Key], Ints, list[int], int]] = []
        pairs = np.argwhere(allowed)
        levels = np.hstack([np.array(cuts)[pairs[:, network]] for network, cuts in self._cuts.items()])
        keys = [(network, side) for network in sides for side in (0, 1)]
        for part, options in _independent(keys, np.unique(levels, axis=0)):
            self._add(program, part, options, sides)

    def _add(self, program: Program, keys: Sequence[Key], options: Ints, sides: dict[int, Sides]) -> None:
        """How many clients use each option; all the same one where it is one side's level (module docstring)."""
        price_s = np.sum([self._side_s[key][options[:, place]] for place, key in enumerate(keys)], axis=0)
        most, each = (1, self._size) if len(keys) == 1 and not price_s.any() else (self._size, 1)
        columns = [program.variable(most, whole=True, cost=cost) for cost in each * price_s / self._scale_s]
        program.equal(most, dict.fromkeys(columns, 1.0))
        self._parts.append((keys, options, columns, each))
        for (network, side), levels in zip(keys, options.T.tolist(), strict=True):
            count: dict[int, Terms] = {}
            for level, column in zip(levels, columns, strict=True):
                count[level] = {**count.get(level, {}), column: each}
            active = {level: _activation(program, terms, most) for level, terms in count.items()}
            sides[network][side].append(Usage(active, count))

    def choices(self, values: Floats) -> Ints:
        """[N_c, networks]: the cuts of the class's clients in a solution; rounding goes to the most used option."""
        levels: dict[Key, Ints] = {}
        for keys, options, columns, each in self._parts:
            times = np.rint(values[columns]).astype(np.int64) * each
            times[times.argmax()] += self._size - times.sum()
            levels |= zip(keys, np.repeat(options, times, axis=0).T, strict=True)
        chosen = [
            [cuts.index(cut) for cut in zip(levels[network, 0].tolist(), levels[network, 1].tolist(), strict=True)]
            for network, cuts in self._cuts.items()
        ]
        return np.array(chosen).T


def _activation(program: Program, count: Terms, most: int) -> Terms:
    if most == 1:
        return dict.fromkeys(count, 1.0)
    column = program.variable(1.0, whole=True)
    program.at_least(0.0, {column: most}, scaled(-1.0, count))
    return {column: 1.0}


def add_pass(
    program: Program, task: Problem, one: PassTimes, enter: list[Usage], leave: list[Usage], scale_s: float
) -> None:
    """Add a pass, in units of `scale_s`, in which clients enter the body on one side and leave it on the other."""
    ready, finish, block_s = one.ready_s / scale_s, one.finish_s / scale_s, one.block_s / scale_s
    end = program.variable(cost=one.repeats)
    before: Terms = {}
    for block in range(1, one.num_blocks - 1):
        done, inside = program.variable(), program.variable()
        program.at_least(len(task.clients), {inside: 1.0}, _outside(one, enter, leave, block))
        start = {done: 1.0, inside: -block_s[block]}
        if one.exchange_s[block]:
            used = program.variable(1.0, whole=True)
            program.at_least(0.0, {used: len(task.clients), inside: -1.0})
            start[used] = -one.exchange_s[block] / scale_s
        program.at_least(0.0, start, scaled(-1.0, before))
        program.at_least(0.0, start, scaled(-1.0, _latest(program, enter, block - 1, ready[:, block - 1])))
        for member, usage in enumerate(enter):
            program.at_least(0.0, start, _mean(usage, ready[member], range(block), task.sizes[member]))
        level = one.num_blocks - 2 - block
        left = {end: 1.0, done: -1.0}
        program.at_least(0.0, left, scaled(-1.0, _latest(program, leave, level, finish[:, level])))
        for member, usage in enumerate(leave):
            if level == max(usage.active):
                levels = range(level + 1)
                program.at_least(0.0, left, _mean(usage, finish[member], levels, task.sizes[member]))
        before = {done: 1.0}


def _latest(program: Program, usages: list[Usage], level: int, seconds: Floats) -> Terms:
    """The longest of the `seconds` [C] of the classes that use a level, 0 if none does."""
    members = [member for member, usage in enumerate(usages) if level in usage.active]
    members.sort(key=lambda member: seconds[member])
    latest: dict[int, float] = {}
    shorter_s, shorter = 0.0, -1
    for member in members:
        reached = program.variable(1.0, whole=True)
        program.at_least(0.0, {reached: 1.0}, scaled(-1.0, usages[member].active[level]))
        if shorter >= 0:
            program.at_least(0.0, {shorter: 1.0, reached: -1.0})
        latest[reached] = seconds[member] - shorter_s
        shorter_s, shorter = seconds[member], reached
    return latest


def _outside(one: PassTimes, enter: list[Usage], leave: list[Usage], block: int) -> dict[int, float]:
    """How many clients do not have the block in their body, as an expression."""
    last = one.num_blocks - 1
    entered_later = (terms for usage in enter for level, terms in usage.count.items() if level >= block)
    left_before = (terms for usage in leave for level, terms in usage.count.items() if level >= last - block)
    return total(*entered_later, *left_before)


def _mean(usage: Usage, seconds: Floats, levels: Iterable[int], size: int) -> dict[int, float]:
    """Minus the mean over a class's clients of their seconds at these levels (0 at others)."""
    return total(*(scaled(-seconds[level] / size, usage.count[level]) for level in levels if level in usage.count))
