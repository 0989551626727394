"""The model, by hand and against the formulas written out one client at a time."""

from dataclasses import replace

import numpy as np
import pytest

from raygan.cuts import Device, NetworkCost, Server
from raygan.cuts import plan as choose
from raygan.cuts.problem import cut_bytes
from tests.cuts.reference import backward_s, forward_s, iteration_s

COST = NetworkCost(forward_flops=[2, 4, 6, 8], backward_flops=[4, 8, 12, 16], output_bytes=[10, 20, 30, 0])
DEVICES = [Device("slow", 1, 10), Device("fast", 2, 5)]
SERVER = Server(flops_per_s=2, bytes_per_s=10)
CUTS = [((0, 0), (0, 0)), ((1, 0), (1, 0))]


def test_two_clients_of_four_blocks_by_hand():
    # Forward. H_0 = 2/1 + 10/10 = 3, enters block 1. H_1 = (2+4)/2 + 20/5 = 7, enters block 2.
    #   T_1 = 3 + 4*1/2 = 5.  T_2 = max(5, 7) + 6*2/2 = 13.
    #   R_0 = 13 + 30/10 + 8/1 = 24.  R_1 = 13 + 30/10 + 8/2 = 20.  forward = 24.
    # Backward. G_0 = 16/1 + 30/10 = 19.  G_1 = 16/2 + 30/5 = 14.
    #   V_2 = 19 + 12*2/2 = 31.  V_1 = 31 + 8*1/2 = 35.
    #   Q_0 = 35 + 10/10 + 4/1 = 40.  Q_1 = 31 + 20/10 + (4+8)/2 = 39.  backward = 40.
    plan = choose(cuts=CUTS, generator=COST, discriminator=COST, devices=DEVICES, server=SERVER, anchor=None)
    assert plan.parts == pytest.approx(
        {
            "generator_forward": 24.0,
            "generator_backward": 40.0,
            "discriminator_forward": 3 * 24.0,
            "discriminator_backward": 3 * 40.0,
        }
    )
    assert plan.latency_s == pytest.approx(4 * (24 + 40))


def test_each_way_has_bytes_of_its_own():
    # Forward, as above but for the way down: R_0 = 13 + 15/10 + 8/1 = 22.5, R_1 = 13 + 15/10 + 8/2.
    # Backward. G_0 = 16/1 + 60/10 = 22.  G_1 = 16/2 + 60/5 = 20.  V_2 = 22 + 12*2/2 = 34.  V_1 = 34 + 8*1/2 = 38.
    #   Q_0 = 38 + 1/10 + 4/1 = 42.1.  Q_1 = 34 + 2/10 + (4+8)/2 = 40.2.
    cost = replace(
        COST,
        output_bytes_down=[5, 10, 15, 0],
        gradient_bytes_up=[20, 40, 60, 0],
        gradient_bytes_down=[1, 2, 3, 0],
    )
    plan = choose(cuts=CUTS, generator=cost, discriminator=cost, devices=DEVICES, server=SERVER, anchor=None)
    assert plan.parts["generator_forward"] == pytest.approx(22.5)
    assert plan.parts["generator_backward"] == pytest.approx(42.1)
    # Behind the head, activations up and gradients down; before the tail, activations down and gradients up.
    assert cut_bytes(cost, "generator", [(0, 0), (1, 0)]).tolist() == [10 + 1 + 15 + 60, 20 + 2 + 15 + 60]


def test_the_reference_agrees_with_the_hand():
    cuts = [(0, 0), (1, 0)]
    assert forward_s(COST.forward_flops, COST.output_bytes, cuts, DEVICES, SERVER, [0] * 5) == pytest.approx(24)
    assert backward_s(COST.backward_flops, COST.output_bytes, cuts, DEVICES, SERVER, [0] * 5) == pytest.approx(40)


def test_a_block_that_nobody_leaves_to_the_server_costs_nothing():
    # Both keep block 1: T_1 = 0, T_2 = 7 + 6 = 13 with H_0 = 6/1 + 20/10 = 8 -> 8 + 6 = 14.
    cuts = [((1, 0), (1, 0))] * 2
    plan = choose(cuts=cuts, generator=COST, discriminator=COST, devices=DEVICES, server=SERVER, anchor=None)
    # R_0 = 14 + 3 + 8 = 25
    assert plan.parts["generator_forward"] == pytest.approx(25)


@pytest.mark.parametrize("blocks", [3, 4, 5, 7, 10])
@pytest.mark.parametrize("anchor", [None, 1])
def test_random_assignments_agree_with_the_formulas(blocks, anchor):
    rng = np.random.default_rng(blocks)
    costs = tuple(NetworkCost(*rng.uniform(0, 10, (3, blocks))) for _ in range(2))
    kinds = [Device(str(kind), *rng.uniform(0.1, 5, 2)) for kind in range(3)]
    devices = [kinds[kind] for kind in rng.integers(3, size=8)]
    valid = [
        (h, t)
        for h in range(blocks - 2)
        for t in range(blocks - 2 - h)
        if anchor is None or h < anchor < blocks - 1 - t
    ]
    for _ in range(20):
        pairs = rng.integers(len(valid), size=(8, 2))
        cuts = [(valid[g], valid[d]) for g, d in pairs]
        plan = choose(
            cuts=cuts,
            generator=costs[0],
            discriminator=costs[1],
            devices=devices,
            server=SERVER,
            anchor=anchor,
        )
        assert plan.latency_s == pytest.approx(iteration_s(costs, cuts, devices, SERVER), rel=1e-12)
        assert plan.lower_bound_s <= plan.latency_s
        assert plan.breakdown.latency_s == pytest.approx(plan.latency_s, rel=1e-12)
