"""One client's numbers injection up: it is dropped and reported, the others go on, and it comes back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from raygan.algorithms.huscf import begin_round
from raygan.config.loading import make_config
from raygan.parties.evaluator import EvaluatorPlan
from raygan.run.engine import Session
from raygan.run.events import Listener
from raygan.run.folder import RunFolder
from raygan.run.plan import Plan, make_plan
from raygan.runtime.in_process import LocalGroup
from raygan.split.submit import train_step
from raygan.wire.records import Activations, Gradients, Lost, StepId, arrays_of


@pytest.fixture
def plan(tiny_settings: dict) -> Plan:
    return make_plan(make_config(tiny_settings | {"ray": tiny_settings["ray"] | {"clients_per_actor": 1}}))


@pytest.fixture
def group(plan: Plan, tmp_path: Path):
    layout, config = plan.layout, plan.config
    samples = str(tmp_path / "samples")
    made = LocalGroup(
        layout, config, EvaluatorPlan(config.data, plan.shape, layout.spec, None, 0, 40, samples, None)
    )
    yield made
    made.close()


def poison(group: LocalGroup, client: int) -> None:
    """Sets a weight of the client's D head to NaN."""
    ends = group.workers[client]._target._clients[client].discriminator
    with torch.no_grad():
        ends.head[0].conv.weight[0] = float("nan")


def test_a_client_that_sends_nan_is_dropped_and_reported(group: LocalGroup, plan: Plan) -> None:
    begin_round(group, 0)
    poison(group, 2)
    step = train_step(group, plan.layout, StepId(0, 0))
    assert step.workers[2].faults == (
        "client-02: its activation or gradient is not finite in discriminate; its update is dropped",
    )
    assert step.workers[2].discriminator_loss == {}
    for other in (0, 1, 3, 4, 5):
        assert step.workers[other].faults == ()
        assert np.isfinite(step.workers[other].discriminator_loss[other])
    assert all(np.isfinite(array).all() for array in arrays_of(group.body.call("state")))


def test_a_client_that_the_body_leaves_out_sits_out_the_round(group: LocalGroup) -> None:
    worker = group.workers[2]._target
    worker.begin_round(0)
    assert set(worker.generate(StepId(0, 0)).arrays) == {2}
    assert worker.discriminate(StepId(0, 0), Activations(StepId(0, 0), {})).arrays == {}
    assert worker.update_generator(StepId(0, 0), Gradients(StepId(0, 0), {})).discriminator_loss == {}
    assert worker.generate(StepId(0, 1)).arrays == {}, "stale calls cost nothing"
    worker.begin_round(1)
    assert set(worker.generate(StepId(1, 0)).arrays) == {2}


def test_a_client_that_was_not_drawn_sits_out_the_round(group: LocalGroup) -> None:
    worker = group.workers[2]._target
    worker.begin_round(0, (0, 1, 3))
    assert worker.generate(StepId(0, 0)).arrays == {}
    worker.begin_round(1, (2,))
    assert set(worker.generate(StepId(1, 0)).arrays) == {2}


def test_a_message_of_another_step_is_refused(group: LocalGroup, plan: Plan) -> None:
    worker = group.workers[0]._target
    worker.begin_round(0)
    sent = worker.generate(StepId(0, 1))
    assert worker.discriminate(StepId(0, 1), Activations(StepId(0, 0), sent.arrays)).arrays == {}
    report = worker.update_generator(StepId(0, 1), Gradients(StepId(0, 1), {}))
    assert "a message of StepId(round=0, step=0) came in StepId(round=0, step=1)" in report.faults[0]
    body = group.body._target
    body.begin_round(0)
    entering = plan.layout.stages["generator"][0].entering
    assert 0 in entering
    messages = [sent if number == 0 else Lost("set aside") for number in entering]
    body.forward(StepId(0, 2), "generate", 0, messages)
    assert 0 in body.report(StepId(0, 2)).absent


class Poison(Listener):
    """Injections a client up in the second round."""

    def __init__(self) -> None:
        self.faults: list[str] = []

    def on_step(self, round_number, step, losses, num_images) -> None:
        if (round_number, step) == (1, 0):
            poison(self.session._group, 2)

    def on_fault(self, fault: str) -> None:
        self.faults.append(fault)


def test_it_comes_back_with_its_clusters_average(group: LocalGroup, plan: Plan, tmp_path: Path) -> None:
    config = plan.config.model_copy(
        update={"training": plan.config.training.model_copy(update={"rounds": 3})}
    )
    plan = make_plan(config)
    folder, listener = RunFolder.new(tmp_path / "run"), Poison()
    folder.create(config, plan.cuts.to_json(), plan.infos)
    listener.session = Session(plan, folder, group, listener)
    listener.session.run()
    assert listener.faults
    assert all(fault.startswith("client-02:") for fault in listener.faults)
    client = group.workers[2]._target._clients[2]
    assert all(np.isfinite(array).all() for array in client.arrays().values())
    last = folder.clusters_file.read_text().splitlines()[-1]
    assert '"2": {"cluster"' in last, "it is in the third round's average"
