"""Steps under every wire codec: actors and in process are equal, the bytes are those of the cuts, NaN is still caught."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from raygan.algorithms.huscf import split_plan
from raygan.config.loading import make_config
from raygan.run.plan import Plan, make_plan
from raygan.wire.records import CODECS, StepId, StepReport
from tests.federations import Started, in_process, on_ray

NARROW = [codec for codec in CODECS if codec != "float32"]


def make(tiny_settings: dict, codec: str | dict[str, str]) -> Plan:
    ray_settings = tiny_settings["ray"] | {"clients_per_actor": 2}
    return make_plan(make_config(tiny_settings | {"wire": {"codec": codec}, "ray": ray_settings}))


def steps(started: Started, count: int = 2) -> tuple[list[StepReport], str]:
    """Reports of the first steps, and a digest of everybody's parameters after them."""
    started.begin_round(0)
    submitted = [started.step(StepId(0, number)) for number in range(count)]
    reports = started.backend.fetch([report for step in submitted for report in step.workers.values()])
    digest = hashlib.sha256()
    for state in (started.body_state(), *started.states().values()):
        for block in state.blocks.values():
            for array in block.values():
                digest.update(array.tobytes())
    assert all(isinstance(report, StepReport) for report in reports)
    return [report for report in reports if isinstance(report, StepReport)], digest.hexdigest()


@pytest.fixture(scope="module")
def local(tiny_settings: dict) -> dict[str, tuple[list[StepReport], str]]:
    """Two steps in process under each codec."""
    return {codec: steps(in_process(make(tiny_settings, codec))) for codec in CODECS}


@pytest.mark.parametrize(
    "codec", ["int8", *(pytest.param(one, marks=pytest.mark.slow) for one in ("bfloat16", "float16"))]
)
def test_actors_and_one_process_are_bit_identical(
    small_ray: None, tiny_settings: dict, local: dict, codec: str
) -> None:
    started = on_ray(make(tiny_settings, codec))
    try:
        reports, digest = steps(started)
    finally:
        started.close()
    assert digest == local[codec][1]
    assert [report.bytes_sent for report in reports] == [report.bytes_sent for report in local[codec][0]]


def test_every_codec_learns_something_else_but_close(local: dict) -> None:
    assert len({digest for _, digest in local.values()}) == len(CODECS)
    exact = local["float32"][0]
    for reports, _ in local.values():
        for report, expected in zip(reports, exact, strict=True):
            assert report.discriminator_loss == pytest.approx(expected.discriminator_loss, rel=0.03)
            assert report.generator_loss == pytest.approx(expected.generator_loss, rel=0.03)


def test_bytes_on_the_wire_are_a_half_and_a_quarter(local: dict) -> None:
    def moved(codec: str) -> np.ndarray:
        return np.array([[report.bytes_sent, report.bytes_received] for report in local[codec][0]])

    # G head, D head three times, and the gradients of as many tails: 8 tensors of each client each way
    scales = 8 * np.array([[len(report.discriminator_loss)] for report in local["float32"][0]])
    assert np.array_equal(moved("bfloat16"), moved("float32") // 2)
    assert np.array_equal(moved("float16"), moved("float32") // 2 + 8 * scales)
    assert np.array_equal(moved("int8"), moved("float32") // 4 + 8 * scales)


def test_each_way_and_kind_has_a_codec_of_its_own(tiny_settings: dict, local: dict) -> None:
    def moved(**codecs: str) -> np.ndarray:
        reports, _ = steps(in_process(make(tiny_settings, codecs)), count=1)
        return np.array([[report.bytes_sent, report.bytes_received] for report in reports])

    exact = np.array([[report.bytes_sent, report.bytes_received] for report in local["float32"][0]])
    exact = exact[: len(exact) // 2]  # of the first step
    up = moved(activations_up="bfloat16", gradients_up="bfloat16")
    assert np.array_equal(up[:, 0], exact[:, 0] // 2)
    assert np.array_equal(up[:, 1], exact[:, 1])
    # of either cut, as many bytes go up as come down: a head's activations and their gradients, a tail's
    head, tail = (
        moved(activations_up="bfloat16", gradients_down="bfloat16"),
        moved(activations_down="bfloat16", gradients_up="bfloat16"),
    )
    assert np.array_equal(head[:, 0], head[:, 1])
    assert np.array_equal(tail[:, 0], tail[:, 1])
    assert np.array_equal(exact - head + exact - tail, exact // 2)


@pytest.mark.parametrize(("codec", "factor", "scale_bytes"), [("bfloat16", 2, 0), ("float16", 2, 8), ("int8", 4, 8)])
def test_the_planner_counts_the_codecs_bytes(tiny_settings: dict, codec: str, factor: int, scale_bytes: int) -> None:
    exact, narrow = (split_plan(make(tiny_settings, name).algorithm).cuts.breakdown for name in ("float32", codec))
    for before, after in zip(exact.phases, narrow.phases, strict=True):
        for mine, other in zip(before.clients, after.clients, strict=True):
            m, o = ({name: end_s - start_s for name, start_s, end_s in one} for one in (mine, other))
            assert o["up_link"] == pytest.approx(m["up_link"] / factor + scale_bytes / 1e8)
            assert o["down_link"] == pytest.approx(m["down_link"] / factor + scale_bytes / 1e9)
            assert (o["head"], o["tail"]) == pytest.approx((m["head"], m["tail"]))


@pytest.mark.parametrize("codec", NARROW)
def test_a_client_whose_numbers_blow_up_is_dropped(tiny_settings: dict, codec: str) -> None:
    started = in_process(make(tiny_settings, codec))
    started.begin_round(0)
    client = started.party_of(2)._clients[2]
    with torch.no_grad():
        client.discriminator.head[0].conv.weight[0] = float("nan")
    reports = started.reports(StepId(0, 0))
    assert [fault for report in reports for fault in report.faults] == [
        "client-02: its activation or gradient is not finite in discriminate; its update is dropped"
    ]
    assert {c for report in reports for c in report.generator_loss} == {0, 1, 3, 4, 5}
