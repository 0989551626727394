"""Steps under every wire codec: actors and in process are equal, the bytes are those of the cuts, NaN is still caught."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from raygan.algorithms.huscf import begin_round
from raygan.config.loading import make_config
from raygan.parties.evaluator import EvaluatorPlan
from raygan.run.plan import Plan, make_plan
from raygan.runtime.backend import Group
from raygan.runtime.in_process import LocalGroup
from raygan.runtime.ray.transport import gather
from raygan.split.submit import train_step
from raygan.wire.records import CODECS, StepId, StepReport

NARROW = [codec for codec in CODECS if codec != "float32"]


def make(tiny_settings: dict, codec: str) -> Plan:
    ray_settings = tiny_settings["ray"] | {"clients_per_actor": 2}
    return make_plan(make_config(tiny_settings | {"wire": {"codec": codec}, "ray": ray_settings}))


def evaluator(plan: Plan) -> EvaluatorPlan:
    return EvaluatorPlan(plan.config.data, plan.shape, plan.layout.spec, None, 0, 10, "nowhere", None)


def local_group(plan: Plan) -> LocalGroup:
    return LocalGroup(plan.layout, plan.config, evaluator(plan))


def steps(group: Group, plan: Plan, count: int = 2) -> tuple[list[StepReport], str]:
    """Reports of the first steps, and a digest of everybody's parameters after them."""
    begin_round(group, 0)
    submitted = [train_step(group, plan.layout, StepId(0, number)) for number in range(count)]
    reports = group.fetch([report for step in submitted for report in step.workers.values()])
    states = [group.body.call("state")]
    for worker, handle in group.workers.items():
        states += handle.call_many("state", len(plan.layout.workers[worker].ids))
    digest = hashlib.sha256()
    for state in states if isinstance(group, LocalGroup) else gather(states):
        for block in state.blocks.values():
            for array in block.values():
                digest.update(array.tobytes())
    return reports, digest.hexdigest()


@pytest.fixture(scope="module")
def local(tiny_settings: dict) -> dict[str, tuple[list[StepReport], str]]:
    """Two steps in process under each codec."""
    return {codec: steps(local_group(plan := make(tiny_settings, codec)), plan) for codec in CODECS}


@pytest.mark.parametrize("codec", ["bfloat16", "int8", pytest.param("float16", marks=pytest.mark.slow)])
def test_actors_and_twin_are_bit_identical(
    small_ray: None, tiny_settings: dict, local: dict, codec: str
) -> None:
    from raygan.runtime.ray.backend import RayGroup

    plan = make(tiny_settings, codec)
    group = RayGroup(plan.layout, plan.config, evaluator(plan))
    try:
        reports, digest = steps(group, plan)
    finally:
        group.close()
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


@pytest.mark.parametrize(
    ("codec", "factor", "scale_bytes"), [("bfloat16", 2, 0), ("float16", 2, 8), ("int8", 4, 8)]
)
def test_the_planner_counts_the_codecs_bytes(
    tiny_settings: dict, codec: str, factor: int, scale_bytes: int
) -> None:
    exact, narrow = (make(tiny_settings, name).cuts.breakdown for name in ("float32", codec))
    for before, after in zip(exact.phases, narrow.phases, strict=True):
        for mine, other in zip(before.clients, after.clients, strict=True):
            assert other.up_link_s == pytest.approx(mine.up_link_s / factor + scale_bytes / 1e8)
            assert other.down_link_s == pytest.approx(mine.down_link_s / factor + scale_bytes / 1e9)
            assert (other.first_s, other.last_s) == (mine.first_s, mine.last_s)


@pytest.mark.parametrize("codec", NARROW)
def test_a_client_whose_numbers_blow_up_is_dropped(tiny_settings: dict, codec: str) -> None:
    plan = make(tiny_settings, codec)
    group = local_group(plan)
    begin_round(group, 0)
    client = group.workers[plan.layout.worker_of[2]]._target._clients[2]
    with torch.no_grad():
        client.discriminator.head[0].conv.weight[0] = float("nan")
    reports = train_step(group, plan.layout, StepId(0, 0)).workers.values()
    assert [fault for report in reports for fault in report.faults] == [
        "client-02: its activation or gradient is not finite in discriminate; its update is dropped"
    ]
    assert {c for report in reports for c in report.generator_loss} == {0, 1, 3, 4, 5}
