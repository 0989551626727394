"""Who does what when: pass by pass, and without barriers.

Without barriers: never slower than the model, equal where one client is the slowest throughout.
"""

from dataclasses import replace

import numpy as np
import pytest

from raygan.cuts import Device, NetworkCost, Server
from raygan.cuts import plan as choose
from raygan.cuts.problem import problem
from raygan.cuts.schedule import overlapped_seconds, pipelined_seconds
from tests.cuts.paper import paper_networks
from tests.cuts.test_latency import COST, CUTS, DEVICES, SERVER

G, D = paper_networks(batch=32, width=0.25)
FASTER_SERVER = Server(flops_per_s=5e9, bytes_per_s=1e8)


@pytest.fixture(scope="module")
def phases():
    plan = choose(cuts=CUTS, generator=COST, discriminator=COST, devices=DEVICES, server=SERVER, anchor=None)
    return {phase.name: phase for phase in plan.breakdown.phases}


def spent(client, activity):
    return sum(end_s - start_s for name, start_s, end_s in client if name == activity)


def test_forward_by_hand(phases):
    # See test_latency. Client 0: head 2, up 1, block 1 from 3 to 5, waits for client 1 to 7, block 2 to 13.
    phase = phases["generator_forward"]
    slow, fast = phase.clients
    assert (
        spent(slow, "head"),
        spent(slow, "up_link"),
        spent(slow, "wait"),
        spent(slow, "body"),
    ) == pytest.approx((2, 1, 2, 8))
    assert (spent(slow, "down_link"), spent(slow, "tail"), slow[-1][2]) == pytest.approx((3, 8, 24))
    assert [name for name, *_ in slow] == [
        "head",
        "up_link",
        "body",
        "wait",
        "body",
        "down_link",
        "tail",
    ]
    assert spent(fast, "wait") == 0
    assert (phase.slowest, phase.pass_s) == (0, pytest.approx(24))
    assert [(block.block, block.num_clients) for block in phase.blocks] == [(1, 1), (2, 2)]


def test_backward_by_hand(phases):
    # Client 1 has sent its tail's gradient at 14, the server waits for client 0 until 19.
    phase = phases["discriminator_backward"]
    slow, fast = phase.clients
    assert (
        spent(fast, "tail"),
        spent(fast, "up_link"),
        spent(fast, "wait"),
        spent(fast, "body"),
    ) == pytest.approx((8, 6, 5, 12))
    assert (spent(fast, "down_link"), spent(fast, "head"), fast[-1][2]) == pytest.approx((2, 6, 39))
    assert [name for name, *_ in fast] == ["tail", "up_link", "wait", "body", "down_link", "head"]
    assert slow[-1][2] == pytest.approx(40)
    assert [(block.block, block.start_s, block.end_s) for block in phase.blocks] == [(2, 19, 31), (1, 31, 35)]
    assert phase.seconds == pytest.approx(3 * 40)


def test_segments_leave_no_hole(phases):
    for phase in phases.values():
        for client in phase.clients:
            ends = [end for _, _, end in client]
            assert [start for _, start, _ in client] == pytest.approx([0.0, *ends[:-1]])
            assert sum(end - start for _, start, end in client) == pytest.approx(ends[-1])


def test_one_client_waits_for_nobody():
    device = Device("pi", 1e9, 1e7)
    plan = choose(cuts=[((1, 0), (0, 1))], generator=G, discriminator=D, devices=[device], server=FASTER_SERVER)
    assert plan.overlapped_s == pytest.approx(plan.latency_s)


def test_one_slow_device_decides_everything():
    devices = [Device("slow", 1e7, 1e5), Device("fast", 1e12, 1e10)]
    plan = choose(cuts=[((0, 0), (0, 0))] * 2, generator=G, discriminator=D, devices=devices, server=FASTER_SERVER)
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
    plan = choose(cuts=cuts, generator=g, discriminator=d, devices=devices, server=server, anchor=1)
    assert plan.latency_s == pytest.approx(4, rel=1e-6)
    assert plan.overlapped_s == pytest.approx(3, rel=1e-6)


BORDER = {"generator": (2,), "discriminator": (2,)}


def alone(cut, cost=COST):
    """One client on the slow device."""
    return choose(
        cuts=[(cut, cut)], generator=cost, discriminator=cost, devices=DEVICES[:1], server=SERVER, anchor=None
    )


def test_a_body_in_two_sections_by_hand():
    # One client, body blocks 1 and 2, a border before 2; 20 bytes over it are 2 s. See test_latency.
    #   G forward: head and up-link 3, block 1 to 5, border to 7, block 2 to 10, down-link and tail 11: 21.
    #   G backward: tail and up-link 19, block 2 to 25, border to 27, block 1 to 31, down-link and head 5: 36.
    #   D's update forward, fakes and reals: 2 x 3 = 6. Block 1 to 8 and 10. Block 2 from 8 + 2 to 13, from 13 + 2 to 18:
    #   2 x 11 behind it: 40. Backward: 2 x 19 = 38. Block 2 to 44 and 50. Block 1 from 44 + 2 to 50, from 50 + 2 to 56:
    #   2 x 5 behind it: 66. D for G: 21 and 36.
    assert alone((0, 0)).pipelined_s(BORDER) == pytest.approx(21 + 40 + 66 + 21 + 36 + 36)


def test_a_border_costs_those_that_are_carried_over_it():
    free, dear = (replace(COST, carried_bytes=[0, b, 0, 0]) for b in (0, 100))
    enters_behind_it = [alone((1, 0), cost).pipelined_s(BORDER) for cost in (free, dear)]
    assert enters_behind_it[0] == enters_behind_it[1] == pytest.approx(alone((1, 0)).overlapped_s)
    over_it = [alone((0, 0), cost).pipelined_s(BORDER) for cost in (free, dear)]
    # 10 s in each of six passes, and once more for each second minibatch, but for the 2 s that block 1 waited for the
    # second gradient: block 2 takes 6 s for each, block 1 takes 4.
    assert over_it[1] - over_it[0] == pytest.approx(8 * 10 - 2)


@pytest.mark.parametrize("seed", range(8))
def test_sections_between_which_nothing_is_sent_are_no_slower_than_one_body(seed):
    rng = np.random.default_rng(seed)
    devices = [Device(str(n), 10 ** rng.uniform(7, 9), 10 ** rng.uniform(5, 7)) for n in range(6)]
    costs = [replace(cost, carried_bytes=[0] * cost.num_blocks) for cost in (G, D)]
    task = problem(*costs, devices, FASTER_SERVER)
    choice = np.zeros((6, 2), dtype=int)  # nobody enters or leaves within
    whole, parted = overlapped_seconds(task, choice), pipelined_seconds(task, choice, BORDER)
    assert parted <= whole * (1 + 1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_never_slower_than_with_barriers(seed):
    rng = np.random.default_rng(seed)
    devices = [Device(str(n), 10 ** rng.uniform(7, 9), 10 ** rng.uniform(5, 7)) for n in range(6)]
    task = problem(G, D, devices, FASTER_SERVER)
    choice = np.stack([rng.integers(0, len(cuts), 6) for cuts in task.cuts], axis=1)
    assert 0.5 * task.latency(choice) < overlapped_seconds(task, choice) <= task.latency(choice) * (1 + 1e-9)
