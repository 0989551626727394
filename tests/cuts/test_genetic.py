"""The genetic algorithm."""

import itertools

import numpy as np
import pytest

from raygan.config.schema import GeneticConfig
from raygan.cuts import Device, Server, plan
from raygan.cuts.genetic import Genes, cross, evolve, tournament
from raygan.cuts.problem import problem
from tests.cuts.paper import PAPER_SERVER, paper_devices, paper_networks

G, D = paper_networks()
SMALL = GeneticConfig(population=60, generations=40, stall=15)


@pytest.fixture(scope="module")
def task():
    return problem(G, D, paper_devices(14), PAPER_SERVER, 2)


def test_it_comes_within_two_percent_of_the_optimum():
    arguments = {"generator": G, "discriminator": D, "devices": paper_devices(80), "server": PAPER_SERVER}
    exact = plan(**arguments, solver="exact")
    found = plan(**arguments, solver="ga")
    assert found.solver == "ga"
    assert exact.latency_s <= found.latency_s * (1 + 1e-9)
    assert found.latency_s <= 1.02 * exact.latency_s
    assert found.lower_bound_s <= exact.latency_s


def test_the_same_seed_is_the_same_run(task):
    runs = [evolve(task, SMALL, np.random.default_rng(3)) for _ in range(2)]
    assert runs[0].best_s == runs[1].best_s
    assert (runs[0].choice == runs[1].choice).all()


def test_the_best_never_gets_worse(task):
    wild = SMALL.model_copy(update={"mutation": 0.3})  # parents alone would often lose the best
    best_s = evolve(task, wild, np.random.default_rng(0)).best_s
    assert all(later <= sooner for sooner, later in itertools.pairwise(best_s))
    assert best_s[-1] < best_s[0]


def test_it_stops_when_it_stalls_or_runs_out(task):
    endless = GeneticConfig(population=50, generations=1000, stall=5)
    assert len(evolve(task, endless, np.random.default_rng(0)).best_s) < 200
    few = GeneticConfig(population=50, generations=3, stall=50)
    assert len(evolve(task, few, np.random.default_rng(0)).best_s) == 4
    assert len(evolve(task, endless, np.random.default_rng(0), time_limit_s=0).best_s) == 1


def test_the_population_is_evaluated_as_the_model_does(task):
    population = Genes(task).random(30, np.random.default_rng(1))
    one_by_one = [task.latency(individual[task.class_of]) for individual in population]
    assert task.plan_seconds(population) == pytest.approx(one_by_one, rel=1e-12)


def test_tournaments_prefer_the_fast():
    seconds = np.arange(100.0)
    winners = tournament(seconds, 5, np.random.default_rng(0))
    assert winners.shape == (100,)
    assert winners.mean() < 30  # the least of 5 uniform draws from 0..99 is 16 on average


def test_crossover_swaps_genes_within_pairs():
    parents = np.repeat(np.arange(6), 20).reshape(6, 10, 2)
    cross(parents, 1.0, np.random.default_rng(0))
    for pair in (0, 1, 2):
        couple = parents[2 * pair : 2 * pair + 2]
        assert (np.sort(couple, axis=0) == np.array([2 * pair, 2 * pair + 1])[:, None, None]).all()
    assert len(np.unique(parents[0])) == 2


def test_no_crossover_with_probability_zero():
    parents = np.arange(24).reshape(6, 2, 2)
    before = parents.copy()
    cross(parents, 0.0, np.random.default_rng(0))
    assert (parents == before).all()


def test_mutation_keeps_to_what_devices_allow():
    devices = [Device("a", 1e9, 1e8, memory_bytes=8e7), Device("b", 1e10, 1e8)]
    task = problem(G, D, devices, Server(1e11, 1e9), 2)
    assert not task.allowed[0].all()
    genes, rng = Genes(task), np.random.default_rng(0)
    population = genes.random(200, rng)
    genes.mutate(population, 0.5, rng)
    assert task.allowed[np.arange(2), population[:, :, 0], population[:, :, 1]].all()
    assert len(np.unique(population[:, 1, :], axis=0)) == 16
