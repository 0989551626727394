"""Roles are killed in the middle of a run; the run ends by itself with every round accounted for."""

from __future__ import annotations

import os
import signal

import pytest
import ray

from raygan.config.loading import make_config
from raygan.training import train
from raygan.training.listener import Listener
from raygan.training.session import Session


class Killer(Listener):
    """Sends SIGKILL to a role's process after a step."""

    def __init__(self, role: str, round_number: int, step: int) -> None:
        self._role, self._when = role, (round_number, step)
        self.session: Session | None = None
        self.faults: list[str] = []
        self.rounds: list[int] = []

    def on_step(self, round_number, step, losses, num_images) -> None:
        if (round_number, step) == self._when:
            self._when = (-1, -1)
            os.kill(self._process(), signal.SIGKILL)

    def _process(self) -> int:
        assert self.session is not None
        group = self.session._group
        handle = {
            "client": lambda: group.hosts[1],
            "body": lambda: group.body,
            "aggregator": lambda: group.aggregators(1)[0],
            "evaluator": lambda: group.evaluator,
        }[self._role]()
        return ray.get(handle.actor.__ray_call__.remote(lambda actor: os.getpid()))

    def on_fault(self, fault: str) -> None:
        self.faults.append(fault)

    def on_round(self, metrics) -> None:
        self.rounds.append(metrics["round"])


@pytest.fixture
def killed(small_ray: None, tiny_settings: dict, tmp_path, monkeypatch: pytest.MonkeyPatch):
    """Trains four rounds while a role is killed; returns what was seen and the run."""

    def go(role: str, round_number: int, step: int):
        killer = Killer(role, round_number, step)
        create = Session.__init__

        def remember(self: Session, *args) -> None:
            create(self, *args)
            killer.session = self

        monkeypatch.setattr(Session, "__init__", remember)
        settings = tiny_settings | {"training": tiny_settings["training"] | {"rounds": 4}}
        run = train(make_config(settings), tmp_path / "run", listener=killer)
        assert killer.rounds == [1, 2, 3, 4]
        assert run.rounds == [1, 2, 3, 4]
        assert run.ended
        return killer, run

    return go


def test_a_lost_client_sits_out_and_comes_back(killed) -> None:
    killer, run = killed("client", 1, 0)
    assert any("was lost" in fault and "takes part again" in fault for fault in killer.faults)
    counted = run.clusters.groupby("round").size().tolist()
    assert counted[0] == counted[2] == counted[3] == 6
    assert counted[1] < 6, "it was not in the average of its round"


@pytest.mark.parametrize("round_number", [0, 2])
def test_a_lost_body_costs_its_round(killed, round_number: int) -> None:
    killer, run = killed("body", round_number, 1)
    assert any(f"round {round_number + 1} begins again" in fault for fault in killer.faults)
    assert run.clusters.groupby("round").size().tolist() == [6, 6, 6, 6]


def test_a_lost_aggregator_is_replaced(killed) -> None:
    killer, run = killed("aggregator", 1, 1)
    assert any("begins again" in fault for fault in killer.faults)
    assert run.clusters.groupby("round").size().tolist() == [6, 6, 6, 6]


def test_a_lost_evaluator_scores_again(killed) -> None:
    killer, run = killed("evaluator", 1, 0)
    assert any("the evaluator was lost" in fault for fault in killer.faults)
    assert all(scores for scores in run.metrics["scores"])
