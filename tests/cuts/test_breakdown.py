"""Who does what when, and who waits for whom."""

import pytest

from raygan.cuts import fixed_plan
from tests.cuts.test_latency import COST, CUTS, DEVICES, SERVER


@pytest.fixture(scope="module")
def phases():
    plan = fixed_plan(CUTS, generator=COST, discriminator=COST, devices=DEVICES, server=SERVER, anchor=None)
    return {phase.name: phase for phase in plan.breakdown.phases}


def test_forward_by_hand(phases):
    # See test_latency. Client 0: head 2, up 1, block 1 from 3 to 5, waits for client 1 to 7, block 2 to 13.
    phase = phases["generator_forward"]
    slow, fast = phase.clients
    assert (slow.first_s, slow.up_link_s, slow.wait_s, slow.body_s) == pytest.approx((2, 1, 2, 8))
    assert (slow.down_link_s, slow.last_s, slow.end_s) == pytest.approx((3, 8, 24))
    assert slow.waits_for == 1
    assert [name for name, *_ in slow.segments] == [
        "head",
        "up_link",
        "body",
        "wait",
        "body",
        "down_link",
        "tail",
    ]
    assert fast.waits == ()
    assert fast.waits_for is None
    assert (phase.slowest, phase.pass_s) == (0, pytest.approx(24))
    assert [(block.block, block.num_clients, block.held_by) for block in phase.blocks] == [
        (1, 1, 0),
        (2, 2, 1),
    ]


def test_backward_by_hand(phases):
    # Client 1 has sent its tail's gradient at 14, the server waits for client 0 until 19.
    phase = phases["discriminator_backward"]
    slow, fast = phase.clients
    assert (fast.first_s, fast.up_link_s, fast.wait_s, fast.body_s) == pytest.approx((8, 6, 5, 12))
    assert fast.waits_for == 0
    assert (fast.down_link_s, fast.last_s, fast.end_s) == pytest.approx((2, 6, 39))
    assert [name for name, *_ in fast.segments] == ["tail", "up_link", "wait", "body", "down_link", "head"]
    assert slow.end_s == pytest.approx(40)
    assert [(block.block, block.start_s, block.end_s) for block in phase.blocks] == [(2, 19, 31), (1, 31, 35)]
    assert phase.seconds == pytest.approx(3 * 40)


def test_segments_leave_no_hole(phases):
    for phase in phases.values():
        for client in phase.clients:
            ends = [end for _, _, end in client.segments]
            assert [start for _, start, _ in client.segments] == pytest.approx([0.0, *ends[:-1]])
            assert ends[-1] == pytest.approx(client.end_s)
            spent = client.first_s + client.up_link_s + client.wait_s + client.body_s
            assert spent + client.down_link_s + client.last_s == pytest.approx(client.end_s)
