"""`raygan train` as a person uses it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from raygan.api import Run
from raygan.cli import main
from raygan.cli.progress import EVERY_SECONDS, ProgressDisplay
from raygan.cli.train import seen_from_here


def run_cli(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["raygan", *arguments])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 0


@pytest.fixture
def config(tmp_path: Path, tiny_settings: dict, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tiny_settings))
    return "config.yaml"


def test_a_run_whose_working_directory_is_gone_ends_as_any_other(
    tmp_path: Path, tiny_settings: dict, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a job's may be, which Ray made for it."""
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tiny_settings))
    (tmp_path / "job").mkdir()
    monkeypatch.chdir(tmp_path / "job")
    assert seen_from_here(tmp_path / "job" / "run") == Path("run")
    going_on = ProgressDisplay.on_round

    def without_a_folder(display: ProgressDisplay, metrics: dict) -> None:
        if (tmp_path / "job").exists():
            (tmp_path / "job").rmdir()
        going_on(display, metrics)

    monkeypatch.setattr(ProgressDisplay, "on_round", without_a_folder)
    run_cli(monkeypatch, "train", str(tmp_path / "config.yaml"), "--in-process", "--out", str(tmp_path / "run"))
    shown = capsys.readouterr()
    assert not (tmp_path / "job").exists()
    assert Path.cwd() == Path("/"), "what is imported late may ask where it is"
    assert shown.err == ""
    for name in ("summary.json", "report.html"):
        assert f"wrote {tmp_path / 'run' / name}\n" in shown.out
        assert (tmp_path / "run" / name).is_file()


def test_a_dry_run_shows_configuration_actors_and_cuts(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_cli(monkeypatch, "train", config, "--dry-run", "--set", "ray.clients_per_actor=1")
    shown = capsys.readouterr().out
    resolved = yaml.safe_load(shown[: shown.index("actors")])
    assert resolved["training"]["batch_size"] == 8
    assert resolved["training"]["betas"] == [0.5, 0.999]
    for text in (
        "client-00 small",
        "client-05 large",
        "large: 1",
        "body: 1",
        "aggregator-0",
        "evaluator",
        "(1, 1)",
        "names of classes",
        "c0, c1, c2, c3",
        "8-bit grey",
        "12x12",
    ):
        assert text in shown
    assert shown.count("24 test images, so its FID is biased upwards") == 1
    assert "data.domains[0], data.domains[1]: 24 test images" in shown
    assert sorted(path.name for path in Path().iterdir()) == ["config.yaml"], "nothing is written"


def test_a_run_ends_with_scores_and_what_was_written(
    config: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(EVERY_SECONDS, "normal", 0.0)
    run_cli(monkeypatch, "train", config, "--in-process", "--out", "here", "--log-file", "logs/run.log")
    shown = capsys.readouterr().out
    first, *others = shown.splitlines()
    assert first == "run here; after a stop it goes on with raygan train --resume here"
    assert [line for line in others if re.match(r"round   2  step 4 of 4  D .* images/s  0:00:00 left$", line)]
    log = Path("logs/run.log").read_text().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (INFO|DEBUG|WARNING) ", line) for line in log)
    assert {line.split(" ", 3)[3] for line in log} >= set(shown.splitlines())
    for text in (
        "round   1",
        "round   2",
        "label agreement",
        "generation",
        "agreement",
        "domain1",
        "Rand index",
    ):
        assert text in shown
    written = [line.removeprefix("wrote ").strip() for line in shown.splitlines() if line.startswith("wrote ")]
    assert "here/samples/round-0002-cluster-0.png" in written
    assert all(Path(path).is_file() for path in written)
    assert Run.load("here").ended
    run_cli(monkeypatch, "train", "--resume", "here", "--in-process", "--quiet")
    assert capsys.readouterr() == ("", "")


def _cuts(run: Run) -> list[dict]:
    return json.loads((run.path / "cuts.json").read_text())["clients"]


@pytest.mark.slow
def test_the_demo(tmp_path: Path) -> None:
    """The README's first command: no network, real actors, real images, at most five minutes on two cores."""
    started = time.monotonic()
    command = [
        sys.executable,
        "-c",
        "from raygan.cli import main; main()",
        "train",
        "--out",
        str(tmp_path / "run"),
    ]
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    subprocess.run(command, check=True, env=environment, timeout=900)
    assert time.monotonic() - started <= 300
    run = Run.load(tmp_path / "run")
    cuts = {json.dumps([c["generator"], c["discriminator"]]) for c in _cuts(run)}
    assert len(cuts) == 3
    assert len(_cuts(run)) == 6
    assert run.summary["cluster_agreement"] == 1.0
    assert set(run.summary["devices"].values()) == {
        "raspberry_pi_4",
        "jetson_nano",
        "workstation",
    }
    for scores in run.summary["scores"].values():
        assert scores["label_agreement"] >= 0.6
