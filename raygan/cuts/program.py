"""The planning problem as a mixed-integer linear program. No big constants: every constraint is tight.

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
class has one integer count for each cut (for each pair of cuts, if memory couples the networks).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.sparse import csr_array

from raygan.cuts.latency import Bools, Floats, Ints, PassTimes
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

    def matrix(self) -> csr_array:
        """The rows' coefficients."""
        rows, columns, values = zip(*self.cells, strict=True)
        return csr_array((values, (rows, columns)), shape=(len(self.least), len(self.cost)))


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


class ClassModel:
    """The variables of one class: adds them to the program, and its usage of levels to `sides`."""

    def __init__(
        self, program: Program, task: Problem, member: int, allowed: Bools, sides: dict[int, Sides]
    ) -> None:
        self._task, self._size = task, int(task.sizes[member])
        self._program = program
        self._levels: dict[int, tuple[dict[int, int], dict[int, int]]] = {}
        self._counts: list[tuple[tuple[int, ...], list[tuple[tuple[int, ...], int]]]] = []
        for networks in [(0,), (1,)] if is_product(allowed) else [(0, 1)]:
            if set(networks) <= set(sides):
                self._add(networks, allowed, sides)

    def _add(self, networks: tuple[int, ...], allowed: Bools, sides: dict[int, Sides]) -> None:
        if len(networks) == 2:
            self._add_counts(networks, [tuple(pair) for pair in np.argwhere(allowed)], sides)
            return
        network = networks[0]
        used = np.flatnonzero(allowed.any(axis=1 - network))
        cuts = np.array(self._task.cuts[network])[used]
        levels = [sorted({int(level) for level in cuts[:, side]}) for side in (0, 1)]
        if len(levels[0]) * len(levels[1]) == len(used):
            self._add_levels(network, levels, sides[network])
        else:
            self._add_counts(networks, [(int(cut),) for cut in used], sides)

    def _add_levels(self, network: int, levels: list[list[int]], sides: Sides) -> None:
        """One level of each side for all clients of the class (module docstring, "counted")."""
        chosen = []
        for side in (0, 1):
            variables = {level: self._program.variable(1.0, whole=True) for level in levels[side]}
            self._program.equal(1.0, dict.fromkeys(variables.values(), 1.0))
            active: dict[int, Terms] = {level: {column: 1.0} for level, column in variables.items()}
            size = float(self._size)
            count: dict[int, Terms] = {level: {column: size} for level, column in variables.items()}
            sides[side].append(Usage(active, count))
            chosen.append(variables)
        self._levels[network] = (chosen[0], chosen[1])

    def _add_counts(
        self, networks: tuple[int, ...], options: list[tuple[int, ...]], sides: dict[int, Sides]
    ) -> None:
        """How many clients use each option: a cut of one network, or a pair of cuts of both."""
        columns = [self._program.variable(float(self._size), whole=True) for _ in options]
        self._program.equal(float(self._size), dict.fromkeys(columns, 1.0))
        self._counts.append((networks, list(zip(options, columns, strict=True))))
        for position, network in enumerate(networks):
            for side in (0, 1):
                count: dict[int, Terms] = {}
                for option, column in zip(options, columns, strict=True):
                    level = self._task.cuts[network][option[position]][side]
                    count[level] = total(count.get(level, {}), {column: 1.0})
                active = {level: self._activation(terms) for level, terms in count.items()}
                sides[network][side].append(Usage(active, count))

    def _activation(self, count: Terms) -> Terms:
        if self._size == 1:
            return count
        column = self._program.variable(1.0, whole=True)
        self._program.at_least(0.0, {column: float(self._size)}, scaled(-1.0, count))
        return {column: 1.0}

    def choices(self, values: Floats) -> Ints:
        """[N_c, 2]: the assignments of the class's clients in a solution."""
        result = np.zeros((self._size, 2), dtype=np.int64)
        for network, sides in self._levels.items():
            head, tail = (_chosen(side, values) for side in sides)
            result[:, network] = self._task.cuts[network].index((head, tail))
        for networks, options in self._counts:
            result[:, networks] = list(_repeated(options, values, self._size))
        return result


def _chosen(variables: dict[int, int], values: Floats) -> int:
    """The level whose variable is one."""
    return max(variables, key=lambda level: values[variables[level]])


def _repeated(
    options: list[tuple[tuple[int, ...], int]], values: Floats, size: int
) -> Iterator[tuple[int, ...]]:
    """Each option as often as the solution says, `size` in all; rounding goes to the most used one."""
    counts = [round(values[column]) for _, column in options]
    counts[int(np.argmax(counts))] += size - sum(counts)
    for (option, _), count in zip(options, counts, strict=True):
        yield from [option] * count


def add_network(program: Program, task: Problem, network: int, sides: Sides, scale_s: float) -> None:
    """Add both passes of a network, in units of `scale_s`."""
    forward, backward = task.passes[network]
    _add_pass(program, task, forward, sides[0], sides[1], scale_s)
    _add_pass(program, task, backward, sides[1], sides[0], scale_s)


def _add_pass(
    program: Program, task: Problem, one: PassTimes, enter: list[Usage], leave: list[Usage], scale_s: float
) -> None:
    ready, finish, block_s = one.ready_s / scale_s, one.finish_s / scale_s, one.block_s / scale_s
    end = program.variable(cost=one.repeats)
    before: Terms = {}
    for block in range(1, one.num_blocks - 1):
        done, inside = program.variable(), program.variable()
        program.at_least(len(task.clients), {inside: 1.0}, _outside(one, enter, leave, block))
        start = {done: 1.0, inside: -block_s[block]}
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
    return total(
        *(scaled(-seconds[level] / size, usage.count[level]) for level in levels if level in usage.count)
    )
