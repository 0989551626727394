"""`raygan tune` as a person uses it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
import ray
import yaml

from raygan.api import train
from raygan.cli import main
from raygan.config.loading import read_config
from tests.rounds import assert_same_training, rounds_of

COMMAND = [sys.executable, "-c", "from raygan.cli import main; main()", "tune"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "sampels=2"], "sampels: unknown key; did you mean 'samples'?"),
        (
            ["--set", "space.clusters.count={grid: [1, 9]}"],
            "space.clusters.count: 9: clusters.count: 9 clusters",
        ),
        (["--set", "scheduler={name: asha, graze: 1}"], "scheduler.graze: asha has no such argument"),
        (["--set", "callbacks=[wandb]"], "callbacks.wandb: wandb is not installed; pip install wandb"),
        (["--set", "base.data.domains.0.npz=nowhere.npz"], "nowhere.npz: no such file"),
        (
            ["--set", "samples=1000000000"],
            "samples: 1,000,000,000, which is 2,000,000,000 trials with the grids and seeds; give fewer: at most 10,000",
        ),
        (["--set", "concurrency=500"], "concurrency: 2 trials of 300 CPUs each need 600, this machine has"),
        (["--resume", "nowhere"], "--resume: given together with a search"),
    ],
)
def test_a_mistake_is_one_line_before_ray_starts(
    search_file: Path,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "concurrency=500" in arguments:
        arguments = [*arguments, "--set", "resources.cpus_per_trial=300"]
    monkeypatch.setattr(sys, "argv", ["raygan", "tune", str(search_file), *arguments])
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stopped:
        main()
    error = capsys.readouterr().err
    assert stopped.value.code == 2
    assert message in error
    assert error.count("\n") == 1
    assert not ray.is_initialized()
    assert not Path("runs").exists()


def test_nothing_to_search_or_to_resume(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, message in (
        ([], "no search; give a file"),
        (["--resume", str(tmp_path)], "no search.yaml"),
    ):
        monkeypatch.setattr(sys, "argv", ["raygan", "tune", *arguments])
        with pytest.raises(SystemExit) as stopped:
            main()
        assert stopped.value.code == 2
        assert message in capsys.readouterr().err


def rounds_done(folder: Path) -> list[int]:
    """Rounds of each run of the search, most first."""
    files = folder.glob("trial-*/run-*/metrics.jsonl")
    return sorted((file.read_text().count("\n") for file in files), reverse=True)


@pytest.mark.slow
def test_a_killed_search_goes_on_with_nothing_lost_but_open_rounds(search_file: Path, tmp_path: Path) -> None:
    settings = yaml.safe_load(search_file.read_text())
    settings["base"]["training"]["rounds"] = 4
    settings |= {"space": {"clusters.count": {"grid": [1, 2]}, "clusters.beta": {"grid": [1, 2]}}}
    search_file.write_text(yaml.safe_dump(settings))
    out = tmp_path / "search"
    process = subprocess.Popen([*COMMAND, str(search_file), "--out", str(out)], start_new_session=True)
    deadline = time.monotonic() + 600
    while not (len(done := rounds_done(out)) > 1 and done[1] > 0):  # one trial has ended, another has begun
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(5)  # Ray's processes end with their driver
    before = {file: file.stat().st_mtime_ns for file in out.glob("trial-*/run-*/summary.json")}
    assert len(before) >= 1
    kept = rounds_done(out)
    subprocess.run([*COMMAND, "--resume", str(out)], check=True, timeout=600)
    assert {file: file.stat().st_mtime_ns for file in before} == before, "finished trials stay finished"
    results = pd.read_csv(out / "results.csv")
    assert results["rounds"].tolist() == [4, 4, 4, 4]
    assert results["status"].tolist() == ["ended"] * 4
    assert kept[1] < 4
    assert len(list(out.glob("trial-*/run-*"))) == 4, "no run was begun anew"
    for number, folder in enumerate(results["run"]):
        in_process = train(
            read_config(Path(folder) / "config.yaml"), tmp_path / f"in_process-{number}", in_process=True
        )
        assert_same_training(Path(folder), in_process.path)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_search_that_goes_on_later(search_file: Path, tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "search"
    command = [*COMMAND, str(search_file), "--out", str(out)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 300
    while not rounds_done(out):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(number)
    output, error = process.communicate(timeout=120)
    assert process.returncode == 128 + number
    assert f"stopped by {number.name}; it goes on with raygan tune --resume {out}" in error
    assert output.splitlines()[2] == f"writing to {out}"
    assert f"trials are not done: raygan tune --resume {out}" in output
    assert "interrupted" in pd.read_csv(out / "results.csv")["status"].tolist()
    again = subprocess.run([*COMMAND, "--resume", str(out)], check=True, timeout=300, capture_output=True, text=True)
    numbers = [re.match(r"trial (\d)/2", line) for line in again.stdout.splitlines()]
    assert {found[1] for found in numbers if found} <= {"1", "2"}
    assert "the search tiny" in (out / "best.yaml").read_text()
    assert pd.read_csv(out / "results.csv")["status"].tolist() == ["ended"] * 2


@pytest.mark.slow
def test_the_smoke_search(tmp_path: Path) -> None:
    """Five minutes on two cores, and `best.yaml` gives the best trial's numbers."""
    root = Path(__file__).parents[2]
    started = time.monotonic()
    out = tmp_path / "smoke"
    subprocess.run([*COMMAND, str(root / "tune_configs" / "smoke.yaml"), "--out", str(out)], check=True)
    assert time.monotonic() - started <= 300
    results = pd.read_csv(out / "results.csv")
    best = (out / "best.yaml").read_text().split()[1]
    (folder,) = results[results["trial"] == best]["run"]
    train_command = [*COMMAND[:-1], "train", str(out / "best.yaml"), "--out", str(tmp_path / "best")]
    subprocess.run(train_command, check=True)
    again = rounds_of(tmp_path / "best")
    assert again == rounds_of(Path(folder))[: len(again)], "to the last bit, scores included"
    assert json.loads((tmp_path / "best" / "summary.json").read_text())["rounds"] == len(again)
