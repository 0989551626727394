"""SIGINT and SIGTERM end a run after its round, with its checkpoint, the usual status and no process left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from raygan.api import resume, train
from raygan.config.loading import make_config
from raygan.run.stored import Run
from tests.processes import are_gone, descendants
from tests.run.test_fault_matrix import settings_for
from tests.run.test_resume import arrays_of_round

COMMAND = [sys.executable, "-c", "from raygan.cli import main; main()", "train"]
ROUNDS = 4


@pytest.fixture
def settings(tiny_settings: dict) -> dict:
    """Rounds of fifteen steps, and no checkpoint before the last."""
    settings = settings_for(tiny_settings, ROUNDS)
    settings["training"] = settings["training"] | {"local_epochs": 5}
    return settings | {"checkpoints": {"every": ROUNDS}}


@pytest.mark.parametrize(
    ("number", "arguments"),
    [
        pytest.param(signal.SIGTERM, [], id="actors", marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, ["--in-process"], id="in_process"),
        pytest.param(signal.SIGHUP, ["--in-process"], id="hangup", marks=pytest.mark.slow),
        pytest.param(signal.SIGINT, [], id="actors-int", marks=pytest.mark.slow),
    ],
)
def test_a_signal_ends_a_run_that_goes_on_later(
    settings: dict, tmp_path: Path, number: signal.Signals, arguments: list[str]
) -> None:
    run, path = started(settings, tmp_path, arguments)
    with run:
        wait_for(path / "clusters.jsonl", run)
        below = descendants(run.pid)
        run.send_signal(number)
        out, error = run.communicate(timeout=180)
    assert run.returncode == 128 + number
    assert "stopping once this round has ended and is saved" in out.decode()
    assert f"stopped by {number.name}; it goes on with raygan train --resume {path}" in error.decode()
    assert "Traceback" not in error.decode()
    assert are_gone(below), "no actor is left"
    (saved,) = Run.load(path).rounds
    assert 1 <= saved < ROUNDS, "though no checkpoint was due"
    assert len(Run.load(path).metrics) == saved, "no round's scores are lost"
    resume(path, in_process=True)
    calm = train(make_config(settings), tmp_path / "calm", in_process=True)
    assert arrays_of_round(path, ROUNDS) == arrays_of_round(calm.path, ROUNDS)


def test_a_second_signal_ends_a_run_at_once(settings: dict, tmp_path: Path) -> None:
    settings["training"] = settings["training"] | {"local_epochs": 500}
    run, path = started(settings, tmp_path, ["--in-process"])
    with run:
        wait_for(path / "config.yaml", run)
        time.sleep(2)  # into the first round, which is long
        run.send_signal(signal.SIGINT)
        time.sleep(1)
        run.send_signal(signal.SIGTERM)
        _, error = run.communicate(timeout=30)
    assert run.returncode in (128 + signal.SIGINT, 128 + signal.SIGTERM)
    assert "Traceback" not in error.decode()
    assert Run.load(path).rounds == []


def test_a_run_outlives_the_reader_of_its_lines(tiny_settings: dict, tmp_path: Path) -> None:
    """`raygan train | head -1`."""
    run, path = started(tiny_settings, tmp_path, ["--in-process"])
    with run:
        assert run.stdout is not None
        assert run.stdout.readline()
        run.stdout.close()
        assert run.stderr is not None
        error = run.stderr.read().decode()
        assert run.wait(timeout=180) == 0
    assert "Traceback" not in error
    assert Run.load(path).ended


def test_a_run_that_ignores_hangups_goes_on(tiny_settings: dict, tmp_path: Path) -> None:
    """As under `nohup`."""
    run, path = started(tiny_settings, tmp_path, ["--in-process"], on_hangup=signal.SIG_IGN)
    with run:
        wait_for(path / "config.yaml", run)
        run.send_signal(signal.SIGHUP)
        run.communicate(timeout=180)
    assert run.returncode == 0
    assert Run.load(path).ended


@pytest.mark.parametrize("arguments", [["dashboard", "--grafana"], ["--version"]], ids=["much", "little"])
def test_a_full_disk_behind_standard_output_is_one_line(arguments: list[str]) -> None:
    """What fits into a buffer is written when the command ends."""
    with Path("/dev/full").open("w") as full:
        done = subprocess.run([*COMMAND[:-1], *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        "raygan: standard output: No space left on device; check the path, its disk and your rights there\n"
    )


def started(
    settings: dict, folder: Path, arguments: list[str], on_hangup: signal.Handlers = signal.SIG_DFL
) -> tuple[subprocess.Popen, Path]:
    """`raygan train` and its run's folder; what it does on SIGHUP it would inherit from the tests."""
    (folder / "config.yaml").write_text(yaml.safe_dump(settings))
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    command = [*COMMAND, str(folder / "config.yaml"), "--out", str(folder / "run"), *arguments]
    before = signal.signal(signal.SIGHUP, on_hangup)
    try:
        run = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    finally:
        signal.signal(signal.SIGHUP, before)
    return run, folder / "run"


def wait_for(path: Path, run: subprocess.Popen) -> None:
    ends = time.monotonic() + 240
    while not path.exists():
        assert run.poll() is None, run.stderr and run.stderr.read()
        assert time.monotonic() < ends
        time.sleep(0.05)
