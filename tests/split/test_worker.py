"""One client's numbers injection up: it is dropped and reported, the others go on, and it comes back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from raygan.config.loading import make_config
from raygan.run.engine import Engine
from raygan.run.events import Listener
from raygan.run.folder import RunFolder
from raygan.run.plan import Plan, make_plan
from raygan.split.body import SharedBody
from raygan.wire.records import Activations, Gradients, Lost, StepId, arrays_of
from tests.federations import Started, in_process


@pytest.fixture
def plan(tiny_settings: dict) -> Plan:
    return make_plan(make_config(tiny_settings | {"ray": tiny_settings["ray"] | {"clients_per_actor": 1}}))


@pytest.fixture
def started(plan: Plan) -> Iterator[Started]:
    made = in_process(plan)
    yield made
    made.close()


def poison(started: Started, client: int) -> None:
    """Sets a weight of the client's D head to NaN."""
    ends = started.party_of(client)._clients[client].discriminator
    with torch.no_grad():
        ends.head[0].conv.weight[0] = float("nan")


def test_a_client_that_sends_nan_is_dropped_and_reported(started: Started) -> None:
    started.begin_round(0)
    poison(started, 2)
    reports = {report.worker: report for report in started.reports(StepId(0, 0))}
    assert reports[2].faults == (
        "client-02: its activation or gradient is not finite in discriminate; its update is dropped",
    )
    assert reports[2].discriminator_loss == {}
    for other in (0, 1, 3, 4, 5):
        assert reports[other].faults == ()
        assert np.isfinite(reports[other].discriminator_loss[other])
    assert all(np.isfinite(array).all() for array in arrays_of(started.body_state()))


def test_a_client_that_the_body_leaves_out_sits_out_the_round(started: Started) -> None:
    worker = started.party_of(2)
    worker.begin_round(0)
    assert set(worker.generate(StepId(0, 0)).arrays) == {2}
    assert worker.discriminate(StepId(0, 0), Activations(StepId(0, 0), {})).arrays == {}
    assert worker.update_generator(StepId(0, 0), Gradients(StepId(0, 0), {})).discriminator_loss == {}
    assert worker.generate(StepId(0, 1)).arrays == {}, "stale calls cost nothing"
    worker.begin_round(1)
    assert set(worker.generate(StepId(1, 0)).arrays) == {2}


def test_a_client_that_was_not_drawn_sits_out_the_round(started: Started) -> None:
    worker = started.party_of(2)
    worker.begin_round(0, (0, 1, 3))
    assert worker.generate(StepId(0, 0)).arrays == {}
    worker.begin_round(1, (2,))
    assert set(worker.generate(StepId(1, 0)).arrays) == {2}


def test_a_message_of_another_step_is_refused(started: Started) -> None:
    worker = started.party_of(0)
    worker.begin_round(0)
    sent = worker.generate(StepId(0, 1))
    assert worker.discriminate(StepId(0, 1), Activations(StepId(0, 0), sent.arrays)).arrays == {}
    report = worker.update_generator(StepId(0, 1), Gradients(StepId(0, 1), {}))
    assert "a message of StepId(round=0, step=0) came in StepId(round=0, step=1)" in report.faults[0]
    body = started.backend.servers[0]._party
    assert isinstance(body, SharedBody)
    body.begin_round(0)
    entering = started.layout.stages["generator"][0].entering
    assert 0 in entering
    messages = {number: sent if number == 0 else Lost("set aside") for number in entering}
    body.forward(StepId(0, 2), "generate", 0, messages)
    assert 0 in body.report(StepId(0, 2)).absent


class Poison(Listener):
    """Blows a client up in the second round."""

    def __init__(self, started: Started) -> None:
        self.faults: list[str] = []
        self._started = started

    def on_step(self, round_number, step, losses, num_images) -> None:
        if (round_number, step) == (1, 0):
            poison(self._started, 2)

    def on_fault(self, fault: str) -> None:
        self.faults.append(fault)


def test_it_comes_back_with_its_clusters_average(plan: Plan, tmp_path: Path) -> None:
    training = plan.config.training.model_copy(update={"rounds": 3})
    plan = make_plan(plan.config.model_copy(update={"training": training}))
    folder = RunFolder.new(tmp_path / "run")
    folder.create(plan.config, plan.algorithm.documents, plan.infos)
    started = in_process(plan)
    listener = Poison(started)
    Engine(plan, folder, started.backend, listener).run()
    started.close()
    told = [fault for fault in listener.faults if not fault.startswith("round ")]  # those are of training
    assert told
    assert all(fault.startswith("client-02:") for fault in told)
    client = started.party_of(2)._clients[2]
    assert all(np.isfinite(array).all() for array in client.arrays().values())
    last = folder.record_file("clusters").read_text().splitlines()[-1]
    assert '"2": {"cluster"' in last, "it is in the third round's average"
