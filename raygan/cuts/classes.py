"""How a class of interchangeable clients enters the program, and how a solution becomes assignments."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from raygan.cuts.cut import Allowed
from raygan.cuts.latency import REPEATS, Floats, Ints
from raygan.cuts.problem import Problem
from raygan.cuts.program import Program, Sides, Terms, Usage, scaled, total

NEVER_BETTER = 1 + 1e-6  # what costs more than this times the best known plan, all by itself, is left out


def networks_are_independent(allowed: Allowed) -> bool:
    """Whether every class may combine any of its cuts of one network with any of the other."""
    return all(_is_product(pairs) for pairs in allowed)


def _is_product(pairs: Allowed) -> bool:
    return bool((np.outer(pairs.any(axis=1), pairs.any(axis=0)) == pairs).all())


def worthwhile(task: Problem, best_s: float) -> tuple[Allowed, Floats]:
    """What the program must consider, and a bound that needs no program.

    Args:
        task: the problem.
        best_s: latency of a known plan.

    Returns:
        [C, n_G, n_D]: the allowed pairs, less the levels that no plan of at most `best_s` can use;
        [2]: seconds that each network takes at least, because its slowest class would if it were alone.
    """
    kept = (task.allowed.any(axis=2), task.allowed.any(axis=1))
    alone_s = [np.where(kept[network], _alone_s(task, network), np.inf) for network in (0, 1)]
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
    return REPEATS[network] * total_s


def _levels_below(task: Problem, network: int, seconds: Floats, limit_s: float) -> Allowed:
    """[C, n]: cuts both of whose levels appear in some cut of at most `limit_s`; keeps products products."""
    cuts = np.array(task.cuts[network])
    keep = np.ones(seconds.shape, dtype=bool)
    for side in (0, 1):
        for level in range(cuts[:, side].max() + 1):
            members = cuts[:, side] == level
            keep[:, members] &= (seconds[:, members].min(axis=1) <= limit_s)[:, None]
    return keep


class ClassModel:
    """The variables of one class: adds them to the program, and its usage of levels to `sides`."""

    def __init__(
        self, program: Program, task: Problem, member: int, allowed: Allowed, sides: dict[int, Sides]
    ) -> None:
        self._task, self._size = task, int(task.sizes[member])
        self._program = program
        self._levels: dict[int, tuple[dict[int, int], dict[int, int]]] = {}
        self._counts: list[tuple[tuple[int, ...], list[tuple[tuple[int, ...], int]]]] = []
        for networks in [(0,), (1,)] if _is_product(allowed) else [(0, 1)]:
            if set(networks) <= set(sides):
                self._add(networks, allowed, sides)

    def _add(self, networks: tuple[int, ...], allowed: Allowed, sides: dict[int, Sides]) -> None:
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
        """One level of each side for all clients of the class (see `program`, "counted")."""
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
