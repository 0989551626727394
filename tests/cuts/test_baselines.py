"""What simpler choices cost."""

import itertools

import pytest

from raygan.cuts import Device, fixed_plan, plan, valid_cuts
from raygan.cuts.baselines import all_client, all_server, best_uniform
from raygan.cuts.paper import PAPER_SERVER, paper_devices, paper_networks
from raygan.cuts.problem import problem

G, D = paper_networks()
DEVICES = paper_devices(9)
ARGUMENTS = {"generator": G, "discriminator": D, "devices": DEVICES, "server": PAPER_SERVER}


@pytest.fixture(scope="module")
def task():
    return problem(G, D, DEVICES, PAPER_SERVER, 2)


def uniform_s(pair):
    return fixed_plan([pair] * len(DEVICES), **ARGUMENTS).latency_s


def test_the_extremes(task):
    assert all_server(task).latency_s == pytest.approx(uniform_s(((0, 0), (0, 0))))
    assert all_client(task).cuts == ((1, 1), (1, 1))
    assert all_client(task).latency_s == pytest.approx(uniform_s(((1, 1), (1, 1))))


def test_the_best_uniform_cut_is_the_best_of_all(task):
    best_s = min(uniform_s(pair) for pair in itertools.product(valid_cuts(5, 2), repeat=2))
    found = best_uniform(task)
    assert found.latency_s == pytest.approx(best_s)
    assert found.allowed
    assert plan(**ARGUMENTS).latency_s <= found.latency_s


def test_what_a_device_may_not_do_is_marked():
    devices = [*DEVICES, Device("pinned", 1e12, 1e9, server_blocks=((1,), ()))]
    task = problem(G, D, devices, PAPER_SERVER, 2)
    assert not all_client(task).allowed
    assert all_server(task).allowed
    assert best_uniform(task).cuts[0][0] == 0
