"""The emulated seconds are the latency model's; phases last as long; too slow a machine is told."""

from __future__ import annotations

import time

import pytest

from raygan.algorithms.huscf import split_plan
from raygan.config.loading import make_config
from raygan.cuts import Device, Server
from raygan.cuts import plan as choose
from raygan.cuts.schedule import Segment
from raygan.errors import ConfigError
from raygan.run.plan import make_plan
from raygan.simulation.emulation import Pace, Pacer, plan_pace
from raygan.wire.records import StepId
from tests.cuts.paper import paper_networks
from tests.federations import in_process

G, D = paper_networks(batch=32, width=0.25)
SERVER = Server(flops_per_s=5e9, bytes_per_s=1e7)
CUTS = [((0, 0), (0, 0)), ((1, 0), (0, 1)), ((0, 1), (1, 0)), ((1, 1), (1, 1))]


@pytest.mark.parametrize("cuts", CUTS)
def test_one_clients_phases_and_the_body_make_up_the_model(cuts: tuple) -> None:
    plan = choose(cuts=[cuts], generator=G, discriminator=D, devices=[Device("pi", 1e9, 1e6)], server=SERVER)
    pace = plan_pace(plan, batch_size=32)
    (h_g, t_g), (h_d, t_d) = cuts
    middle = {"generator": range(h_g + 1, 4 - t_g), "discriminator": range(h_d + 1, 4 - t_d)}
    body_s = sum(
        passes * pace.body_seconds(network, direction, middle[network], [32])
        for network, passes in (("generator", 1), ("discriminator", 3))
        for direction in ("forward", "backward")
    )
    assert sum(pace.phases[0].values()) + body_s == pytest.approx(plan.latency_s)
    assert pace.step_s == pytest.approx(plan.latency_s)


def test_phases_by_hand() -> None:
    """Head and tail of one block each; c = 1e9, r = 1e6; the server's down-link 1e7."""
    plan = choose(cuts=[CUTS[0]], generator=G, discriminator=D, devices=[Device("pi", 1e9, 1e6)], server=SERVER)
    phases = plan_pace(plan, batch_size=32).phases[0]
    head_d, tail_d = D.forward_flops[0] / 1e9, D.forward_flops[4] / 1e9
    assert phases["generate"] == pytest.approx(G.forward_flops[0] / 1e9 + G.output_bytes[0] / 1e6)
    assert phases["discriminate"] == pytest.approx(
        G.output_bytes[3] / 1e7 + G.forward_flops[4] / 1e9 + 2 * (head_d + D.output_bytes[0] / 1e6)
    )
    assert phases["discriminator_loss"] == pytest.approx(
        2 * (D.output_bytes[3] / 1e7 + tail_d + D.backward_flops[4] / 1e9 + D.output_bytes[3] / 1e6)
    )
    assert phases["discriminator_loss"] == pytest.approx(2 * phases["generator_loss"])
    assert phases["update_generator"] == pytest.approx(G.output_bytes[0] / 1e7 + G.backward_flops[0] / 1e9)


def test_every_phase_receives_then_sends() -> None:
    """By hand, from one pass of each network and direction."""
    plan = choose(cuts=[CUTS[1]], generator=G, discriminator=D, devices=[Device("pi", 1e9, 1e6)], server=SERVER)
    gf, gb, df, db = (phase.clients[0] for phase in plan.breakdown.phases)

    def sends(one: tuple[Segment, ...]) -> float:
        return one[1][2]

    def receives(one: tuple[Segment, ...]) -> float:
        return one[-1][2] - one[-2][1]

    expected = {
        "generate": sends(gf),
        "discriminate": receives(gf) + 2 * sends(df),
        "discriminator_loss": 2 * (receives(df) + sends(db)),
        "update_discriminator": 2 * receives(db) + sends(df),
        "generator_loss": receives(df) + sends(db),
        "backpropagate": receives(db) + sends(gb),
        "update_generator": receives(gb),
    }
    assert plan_pace(plan, batch_size=32).phases[0] == pytest.approx(expected)


def pace(phase_s: float) -> Pace:
    blocks = {("generator", "forward"): (0.0, 0.02, 0.03, 0.0)}
    return Pace(({"generator_loss": phase_s}, {"generator_loss": 2 * phase_s}), blocks, batch_size=10, step_s=1.0)


def seconds_of(hold) -> float:
    started = time.perf_counter()
    hold(started)
    return time.perf_counter() - started


def test_a_phase_lasts_as_long_as_the_slowest_of_its_clients() -> None:
    pacer = Pacer(pace(0.05), "client-00")
    assert 0.05 <= seconds_of(lambda started: pacer.hold_client("generator_loss", started, {0: 10})) < 0.09
    assert 0.10 <= seconds_of(lambda started: pacer.hold_client("generator_loss", started, {0: 10, 1: 10})) < 0.14
    assert 0.05 <= seconds_of(lambda started: pacer.hold_client("generator_loss", started, {1: 5})) < 0.09
    assert seconds_of(lambda started: pacer.hold_client("generator_loss", started, {})) < 0.01


def test_real_work_counts() -> None:
    pacer = Pacer(pace(0.05), "client-00")
    assert seconds_of(lambda _: pacer.hold_client("generator_loss", time.perf_counter() - 0.05, {0: 10})) < 0.01


def test_a_stage_of_the_body_lasts_as_long_as_its_blocks_and_clients() -> None:
    pacer = Pacer(pace(0.05), "body")
    assert pace(0).body_seconds("generator", "forward", range(1, 3), [20]) == pytest.approx(2 * 0.05)
    held = seconds_of(lambda started: pacer.hold_body("generator", "forward", range(1, 3), [10, 10], started))
    assert 0.1 <= held < 0.14


def test_without_emulation_nobody_waits() -> None:
    pacer = Pacer(None, "client-00")
    assert seconds_of(lambda started: pacer.hold_client("generator_loss", started, {0: 10})) < 0.01
    assert pacer.end_step(StepId(0, 1)) == []


def test_a_machine_that_is_too_slow_is_told_once_a_round() -> None:
    pacer = Pacer(pace(0.05), "client-00 pi")

    def step(round_number: int, number: int, late_s: float) -> list[str]:
        pacer.hold_client("generator_loss", time.perf_counter() - 0.05 - late_s, {0: 10})
        return pacer.end_step(StepId(round_number, number))

    assert step(0, 0, 9.0) == [], "warming up"
    assert step(0, 1, 0.02) == [], "2% of a step"
    (fault,) = step(0, 2, 0.5)
    assert fault.startswith("client-00 pi: too slow to emulate its device: 0.5 s of real work too much")
    assert step(0, 3, 0.5) == []
    assert len(step(1, 1, 0.5)) == 1


def test_one_process_refuses_to_emulate(tiny_settings: dict) -> None:
    plan = make_plan(make_config(tiny_settings | {"devices": tiny_settings["devices"] | {"emulate": True}}))
    assert split_plan(plan.algorithm).layout.pace is not None
    with pytest.raises(ConfigError, match=r"^devices\.emulate: true, but everything runs in one process; "):
        in_process(plan)
