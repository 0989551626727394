"""A data file that is damaged while a run goes on costs the clients that must read it again, who are named."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from raygan.api import train
from raygan.config.loading import make_config
from raygan.run.events import Listener
from tests.run.kills import FaultInjector, Injection, injector
from tests.run.test_fault_matrix import every_round_is_accounted_for, settings_for

__all__ = ["injector"]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("small_ray")]

ROUNDS = 6
"""Two may wait for their scores when the first one's are there."""


class Damage(Listener):
    """Overwrites a file when everybody has read it, and strikes, so that an actor must read it again."""

    def __init__(self, file: Path, injector: FaultInjector, injection: Injection) -> None:
        self._file, self._injector, self._injection = file, injector, injection
        self.faults: list[str] = []

    def on_round(self, metrics) -> None:
        if metrics["round"] == 1:
            self._file.write_bytes(b"nonsense")
            self._injector.arm(self._injection)

    def on_fault(self, fault: str) -> None:
        self.faults.append(fault)


@pytest.fixture
def hospital(tiny_settings: dict, tmp_path: Path) -> Path:
    """The second domain's file, one that the test may damage."""
    _, second = tiny_settings["data"]["domains"]
    return Path(shutil.copy(second["npz"], tmp_path / "hospital.npz"))


@pytest.fixture
def settings(tiny_settings: dict, hospital: Path) -> dict:
    first, second = tiny_settings["data"]["domains"]
    domains = [first, second | {"npz": str(hospital)}]
    return settings_for(tiny_settings, ROUNDS, clients_per_actor=2) | {"data": {"domains": domains}}


def test_a_client_that_cannot_read_its_data_again_takes_no_part_and_is_named(
    settings: dict, hospital: Path, tmp_path: Path, injector: FaultInjector
) -> None:
    damage = Damage(hospital, injector, Injection("client", "discriminator_loss", name="clients-02,05"))
    run = train(make_config(settings), tmp_path / "run", listener=damage)
    every_round_is_accounted_for(run, ROUNDS)
    named = [fault for fault in damage.faults if "hospital.npz" in fault]
    assert named
    assert all(fault.startswith("client-05: cannot read its data again") for fault in named)
    assert set(named) <= {fault for faults in run.metrics["faults"] for fault in faults}
    last = run.clusters[run.clusters["round"] == ROUNDS]
    assert sorted(last["client"]) == [0, 1, 2, 3, 4], "the other client of its actor goes on"


def test_an_evaluator_that_cannot_read_its_data_again_costs_the_scores_only(
    settings: dict, hospital: Path, tmp_path: Path, injector: FaultInjector
) -> None:
    damage = Damage(hospital, injector, Injection("evaluator", "evaluate"))
    run = train(make_config(settings), tmp_path / "run", listener=damage)
    assert run.ended
    assert [fault for fault in damage.faults if f"round {ROUNDS} has no scores" in fault and "hospital.npz" in fault]
