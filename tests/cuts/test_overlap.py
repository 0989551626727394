"""Steps without barriers: never slower than the model, equal where one client is the slowest throughout."""

import numpy as np
import pytest

from raygan.cuts import Device, NetworkCost, Server, fixed_plan
from raygan.cuts.overlap import overlapped_seconds
from raygan.cuts.paper import paper_networks
from raygan.cuts.problem import problem

G, D = paper_networks(batch=32, width=0.25)
SERVER = Server(flops_per_s=5e9, bytes_per_s=1e8)


def test_one_client_waits_for_nobody():
    device = Device("pi", 1e9, 1e7)
    plan = fixed_plan([((1, 0), (0, 1))], generator=G, discriminator=D, devices=[device], server=SERVER)
    assert plan.overlapped_s == pytest.approx(plan.latency_s)


def test_one_slow_device_decides_everything():
    devices = [Device("slow", 1e7, 1e5), Device("fast", 1e12, 1e10)]
    plan = fixed_plan([((0, 0), (0, 0))] * 2, generator=G, discriminator=D, devices=devices, server=SERVER)
    assert plan.overlapped_s == pytest.approx(plan.latency_s, rel=1e-3)


def test_two_that_are_slow_in_turn_overlap():
    """By hand. A needs 1 s for G's tail, B needs 1 s to send what D's head makes; all else takes no time.

    The model: 1 s of G forward, 3 x 1 s of D forward. Without barriers B sends fakes and reals (2 s) while A
    is still at its tail, then the fakes once more: 3 s.
    """
    g = NetworkCost([0, 0, 1], [0, 0, 0], [0, 0, 0])
    d = NetworkCost([0, 0, 0], [0, 0, 0], [1, 0, 0])
    devices = [Device("a", flops_per_s=1, bytes_per_s=1e9), Device("b", flops_per_s=1e9, bytes_per_s=1)]
    server = Server(flops_per_s=1e9, bytes_per_s=1e9)
    cuts = [((0, 0), (0, 0))] * 2
    plan = fixed_plan(cuts, generator=g, discriminator=d, devices=devices, server=server, anchor=1)
    assert plan.latency_s == pytest.approx(4, rel=1e-6)
    assert plan.overlapped_s == pytest.approx(3, rel=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_never_slower_than_with_barriers(seed):
    rng = np.random.default_rng(seed)
    devices = [Device(str(n), 10 ** rng.uniform(7, 9), 10 ** rng.uniform(5, 7)) for n in range(6)]
    task = problem(G, D, devices, SERVER)
    choice = np.stack([rng.integers(0, len(cuts), 6) for cuts in task.cuts], axis=1)
    assert 0.5 * task.latency(choice) < overlapped_seconds(task, choice) <= task.latency(choice) * (1 + 1e-9)
