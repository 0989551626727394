"""A genetic algorithm: cuts are genes, latency is fitness; arXiv 2507.12979 chooses its cuts by one.

Published (`Cut_Selection/CutLayerSelection.py`): four bits a client, whether each end of the two networks keeps one
block more, for a quarter of the clients, whose plan is then repeated four times over the fleet. 1,000 random individuals,
1,000 generations, tournaments of 5, uniform or two-point crossover with probability 0.7, a bit flips with 0.01; no
individual survives as it is, nothing ends it early, and the last generation's best is taken. Those numbers are the
defaults here; what an individual is, the first population, the surviving best and the stop are ours.

An individual is a plan [C, 2]: for each class of equal devices, indices into the valid cuts of the two networks. (A
plan that splits a class, which can be faster if there is no anchor, is out of reach.) A generation: parents by
tournament, crossover of each pair with a probability, mutation of each gene with a probability; the best individual
so far always survives. The whole population is evaluated at once. Where memory forbids a pair, the discriminator's
cut is drawn again from those that fit with the generator's.

The first population, else random, contains the plans with the same cuts for everyone. In a fleet of many different
devices the slowest one that keeps too much hides all other differences, so random plans alone stall.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raygan.config.schema import GeneticConfig
from raygan.cuts.latency import Bools, Floats, Ints
from raygan.cuts.problem import Deadline, Problem

UNIFORM_SHARE = 10  # uniform plans are at most one in so many of the first population


@dataclass(frozen=True)
class Evolution:
    """What a run of the genetic algorithm found."""

    choice: Ints
    """[K, 2]: the best individual's cuts of each client."""
    best_s: tuple[float, ...]
    """The best latency after each generation, seconds; the first entry is the initial population's."""


def evolve(
    task: Problem,
    settings: GeneticConfig,
    rng: np.random.Generator,
    time_limit_s: float = np.inf,
) -> Evolution:
    """Run until `settings.generations`, until nothing improves for `settings.stall` of them, or out of time.

    Args:
        rng: the only source of randomness.
        time_limit_s: longest time, seconds; the generation under way is finished.
    """
    deadline = Deadline(time_limit_s)
    genes = Genes(task)
    population = genes.random(settings.population, rng)
    seeds = task.uniform_plans(max(1, settings.population // UNIFORM_SHARE))
    population[: len(seeds)] = seeds
    seconds = task.plan_seconds(population)
    best_s, stalled = [float(seconds.min())], 0
    while len(best_s) <= settings.generations and stalled < settings.stall and deadline.left_s > 0:
        elite = population[seconds.argmin()].copy()
        population = population[tournament(seconds, settings.tournament, rng)]
        cross(population, settings.crossover, rng)
        genes.mutate(population, settings.mutation, rng)
        population[0] = elite
        seconds = task.plan_seconds(population)
        stalled = 0 if seconds.min() < best_s[-1] else stalled + 1
        best_s.append(float(seconds.min()))
    return Evolution(population[seconds.argmin()][task.class_of], tuple(best_s))


def tournament(seconds: Floats, entrants: int, rng: np.random.Generator) -> Ints:
    """[P]: for each place in the next generation, the fastest of `entrants` individuals drawn at random."""
    drawn = rng.integers(len(seconds), size=(len(seconds), entrants))
    winners: Ints = drawn[np.arange(len(drawn)), seconds[drawn].argmin(axis=1)]
    return winners


def cross(parents: Ints, probability: float, rng: np.random.Generator) -> None:
    """Swap genes one by one between neighbours (0 and 1, 2 and 3, ...) of parents [P, C, 2], in place."""
    pairs, num_genes = len(parents) // 2, parents[0].size
    couples = parents[: 2 * pairs].reshape(pairs, 2, num_genes)
    swap = rng.random((pairs, num_genes)) < 0.5
    swap &= (rng.random(pairs) < probability)[:, None]
    couples[:] = np.where(swap[:, None], couples[:, ::-1], couples)


class Genes:
    """The values that genes may take: draws them, and repairs pairs that a device's limits forbid."""

    def __init__(self, task: Problem) -> None:
        num_classes, self._num_generator, num_discriminator = task.allowed.shape
        self._classes = np.arange(num_classes)
        self._allowed = task.allowed
        self._generator = _Options(np.any(task.allowed, axis=2))
        self._discriminator = _Options(task.allowed.reshape(-1, num_discriminator))

    def random(self, individuals: int, rng: np.random.Generator) -> Ints:
        """[P, C, 2]: individuals drawn at random."""
        classes = np.broadcast_to(self._classes, (individuals, len(self._classes)))
        generator = self._generator.draw(classes, rng)
        discriminator = self._discriminator.draw(classes * self._num_generator + generator, rng)
        return np.stack([generator, discriminator], axis=2)

    def mutate(self, population: Ints, probability: float, rng: np.random.Generator) -> None:
        """Draw each gene anew with a probability, and repair, in place."""
        hit = rng.random(population.shape) < probability
        individual, member = np.nonzero(hit[:, :, 0])
        population[individual, member, 0] = self._generator.draw(member, rng)
        forbidden = ~self._allowed[self._classes, population[:, :, 0], population[:, :, 1]]
        individual, member = np.nonzero(hit[:, :, 1] | forbidden)
        rows = member * self._num_generator + population[individual, member, 0]
        population[individual, member, 1] = self._discriminator.draw(rows, rng)


class _Options:
    """Sets of options, one a row, that can be drawn from many rows at once."""

    def __init__(self, permitted: Bools) -> None:
        self._count = permitted.sum(axis=1)
        self._order = np.argsort(~permitted, axis=1, kind="stable")  # the permitted ones first

    def draw(self, rows: Ints, rng: np.random.Generator) -> Ints:
        """One option of each row, all equally likely."""
        drawn: Ints = self._order[rows, rng.integers(self._count[rows])]
        return drawn
