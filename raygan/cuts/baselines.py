"""What simpler choices would cost: all on the server, all on the clients, one cut for everyone, the GA."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raygan.config.schema import GeneticConfig
from raygan.cuts.cut import Cuts, local_blocks
from raygan.cuts.genetic import evolve
from raygan.cuts.latency import REPEATS, Ints
from raygan.cuts.problem import Problem


@dataclass(frozen=True)
class Baseline:
    """A simpler choice of cuts."""

    name: str
    """`all_server`, `all_client`, `uniform` or `ga`."""
    latency_s: float
    """Predicted seconds of one iteration."""
    allowed: bool
    """Whether all devices could really do it (memory, blocks that must or must not stay local)."""
    cuts: Cuts | None = None
    """The cuts that everyone has; None if they differ."""


def all_server(task: Problem) -> Baseline:
    """Everyone keeps nothing extra."""
    return _uniform(task, "all_server", (0, 0))


def all_client(task: Problem) -> Baseline:
    """Everyone keeps as much computation as valid cuts permit."""
    largest = []
    for cost, cuts in zip(task.costs, task.cuts, strict=True):
        work = np.array(cost.forward_flops) + np.array(cost.backward_flops)
        kept = [work[list(local_blocks(cut, cost.num_blocks))].sum() for cut in cuts]
        largest.append(int(np.argmax(kept)))
    return _uniform(task, "all_client", (largest[0], largest[1]))


def best_uniform(task: Problem) -> Baseline:
    """The best cuts that everyone can have; if no cuts are allowed for all, the best without limits."""
    seconds = []
    for network, cuts in enumerate(task.cuts):
        everyone = task.sizes[None, :, None] * np.eye(len(cuts))[:, None, :]
        seconds.append(REPEATS[network] * task.network_seconds(network, everyone))
    total_s = np.add.outer(seconds[0], seconds[1])
    allowed = task.allowed.all(axis=0)
    if allowed.any():
        total_s = np.where(allowed, total_s, np.inf)
    generator, discriminator = np.unravel_index(total_s.argmin(), total_s.shape)
    return _uniform(task, "uniform", (int(generator), int(discriminator)))


def genetic(
    task: Problem, settings: GeneticConfig | None = None, seed: int = 0, time_limit_s: float = 60.0
) -> Baseline:
    """The published genetic algorithm."""
    found = evolve(task, settings or GeneticConfig(), np.random.default_rng(seed), time_limit_s)
    return Baseline("ga", task.latency(found.choice), True)


def _uniform(task: Problem, name: str, pair: tuple[int, int]) -> Baseline:
    choice: Ints = np.tile(np.array(pair, dtype=np.int64), (len(task.clients), 1))
    allowed = bool(task.allowed[:, pair[0], pair[1]].all())
    return Baseline(name, task.latency(choice), allowed, task.client_cuts(choice[:1])[0])
