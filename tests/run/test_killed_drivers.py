"""Four rounds equal two, a SIGKILL in the middle of the third's checkpoint, and the rest: bit for bit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from raygan.api import resume, train
from raygan.config.loading import make_config
from raygan.run.stored import Run
from tests.rounds import rounds_of
from tests.run.test_fault_matrix import settings_for
from tests.run.test_resume import Interrupt, arrays_of_round


def killed_run(how: str, settings: dict, folder: Path) -> Path:
    config, path = folder / "config.yaml", folder / "run"
    config.write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "tests.run.dying_driver", str(config), str(path), how]
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    ended = subprocess.run(command, env=environment, timeout=300, check=False)
    assert ended.returncode == -signal.SIGKILL
    assert (path / "checkpoints" / ".round-0003.tmp").exists(), "it died while it wrote"
    assert Run.load(path).rounds == [1, 2]
    return path


@pytest.fixture(scope="module")
def four_rounds(tiny_settings: dict) -> dict:
    return settings_for(tiny_settings, 4)


@pytest.fixture(scope="module")
def whole(four_rounds: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(make_config(four_rounds), tmp_path_factory.mktemp("whole") / "run", in_process=True).path


def goes_on(path: Path, whole: Path, in_process: bool) -> None:
    watcher = Interrupt(-1, 0)
    assert resume(path, in_process=in_process, listener=watcher).ended
    assert watcher.first_round == 2 if in_process else watcher.first_round <= 2, "scores may have been under way"
    assert arrays_of_round(path, 4) == arrays_of_round(whole, 4)
    assert not list((path / "checkpoints").glob(".round*")), "no draft is left"
    assert [line["round"] for line in rounds_of(path)] == [1, 2, 3, 4]


def test_a_process_killed_while_it_writes(four_rounds: dict, whole: Path, tmp_path: Path) -> None:
    goes_on(killed_run("in_process", four_rounds, tmp_path), whole, in_process=True)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["driver", "cluster"])
def test_a_driver_killed_while_its_actors_write(four_rounds: dict, whole: Path, tmp_path: Path, how: str) -> None:
    goes_on(killed_run(how, four_rounds, tmp_path), whole, in_process=False)
