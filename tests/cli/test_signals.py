"""SIGINT and SIGTERM end a run at once, with the usual status and no process left; it goes on with --resume."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from raygan.config.loading import make_config
from raygan.training import resume, train
from raygan.training.run import Run
from tests.processes import are_gone, descendants
from tests.training.test_fault_matrix import settings_for
from tests.training.test_resume import arrays_of_round

COMMAND = [sys.executable, "-c", "from raygan.cli import main; main()", "train"]
ROUNDS = 4


@pytest.mark.parametrize(
    ("number", "arguments"),
    [
        pytest.param(signal.SIGTERM, [], id="actors", marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, ["--in-process"], id="twin"),
        pytest.param(signal.SIGINT, [], id="actors-int", marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_a_run_that_goes_on_later(
    tiny_settings: dict, tmp_path: Path, number: signal.Signals, arguments: list[str]
) -> None:
    settings = settings_for(tiny_settings, ROUNDS)
    settings["training"] = settings["training"] | {"local_epochs": 5}
    config, path = tmp_path / "config.yaml", tmp_path / "run"
    config.write_text(yaml.safe_dump(settings))
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    command = [*COMMAND, str(config), "--out", str(path), *arguments]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as run:
        wait_for(path / "checkpoints" / "round-0001", run)
        below = descendants(run.pid)
        run.send_signal(number)
        _, error = run.communicate(timeout=180)
    assert run.returncode == 128 + number
    assert f"stopped by {number.name}; a run goes on" in error.decode()
    assert "Traceback" not in error.decode()
    assert are_gone(below), "no actor is left"
    assert 1 <= len(Run.load(path).rounds) < ROUNDS
    resume(path, twin=True)
    calm = train(make_config(settings), tmp_path / "calm", twin=True)
    assert arrays_of_round(path, ROUNDS) == arrays_of_round(calm.path, ROUNDS)


def wait_for(path: Path, run: subprocess.Popen) -> None:
    ends = time.monotonic() + 240
    while not path.exists():
        assert run.poll() is None, run.stderr and run.stderr.read()
        assert time.monotonic() < ends
        time.sleep(0.05)
