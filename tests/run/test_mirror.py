"""A run's copy at a URI, and a run that goes on from it on another machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from raygan.api import resume, train
from raygan.config.loading import make_config
from raygan.errors import ConfigError, RunError
from raygan.run.mirror import Mirror, is_uri
from raygan.run.stored import Run
from tests.rounds import rounds_of
from tests.run.test_resume import Interrupt, arrays_of_round


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


ROUND = "checkpoints/round-0001"


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("s3://bucket/run", True),
        ("file:///tmp/run", True),
        ("gs://b", True),
        ("runs/a", False),
        ("C:/runs", False),
    ],
)
def test_what_is_a_uri(path: str, answer: bool) -> None:
    assert is_uri(path) is answer
    assert not is_uri(Path(path))


def test_only_a_runs_files_go_up_and_come_back(tmp_path: Path) -> None:
    mine = (
        "config.yaml",
        "domains.json",
        "metrics.jsonl",
        "samples/round-0001-cluster-0.png",
        f"{ROUND}/body.safetensors",
    )
    write(tmp_path / "run", *mine, "notes.txt", "checkpoints/.round-0002.tmp/body.safetensors")
    (tmp_path / "run" / "report.html").symlink_to("/etc/hostname")
    mirror = Mirror(f"file://{tmp_path}/far/run")
    mirror.push(tmp_path / "run")
    assert mirror.names() == sorted(mine)
    mirror.pull(tmp_path / "back")
    assert sorted(
        str(p.relative_to(tmp_path / "back")) for p in (tmp_path / "back").rglob("*") if p.is_file()
    ) == sorted(mine)


def test_what_changed_goes_up_and_removed_checkpoints_go(tmp_path: Path) -> None:
    run, far = tmp_path / "run", tmp_path / "far"
    write(run, "config.yaml", "metrics.jsonl", f"{ROUND}/body.safetensors", f"{ROUND}/manifest.json")
    mirror = Mirror(f"file://{far}")
    mirror.push(run)
    (far / "config.yaml").write_text("left alone: it has not changed here")
    (far / "mine.txt").write_text("somebody's")
    (run / "metrics.jsonl").write_text("a line more")
    (run / ROUND / "body.safetensors").unlink()
    mirror.push(run)
    assert (far / "metrics.jsonl").read_text() == "a line more"
    assert (far / "config.yaml").read_text().startswith("left alone")
    assert (far / "mine.txt").exists()
    assert [path.name for path in (far / ROUND).iterdir()] == ["manifest.json"]


def test_a_manifest_goes_up_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "run", f"{ROUND}/manifest.json", f"{ROUND}/body.safetensors", f"{ROUND}/zeta.safetensors")
    order: list[str] = []
    monkeypatch.setattr(Mirror, "_upload", lambda self, file, name: order.append(file.name))
    Mirror(f"file://{tmp_path}/far").push(tmp_path / "run")
    assert order == ["body.safetensors", "zeta.safetensors", "manifest.json"]


def test_nothing_is_fetched_over_a_folder_or_from_nowhere(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no config\.yaml, so this is no run"):
        Mirror(f"file://{tmp_path}/nowhere").pull(tmp_path / "back")
    write(tmp_path / "far", "config.yaml")
    (tmp_path / "back").mkdir()
    with pytest.raises(RunError, match="is here already"):
        Mirror(f"file://{tmp_path}/far").pull(tmp_path / "back")
    with pytest.raises(RunError, match=r"morse://x/y: cannot be used \("):
        Mirror("morse://x/y")


def test_storage_must_be_a_uri() -> None:
    with pytest.raises(ConfigError, match=r"checkpoints\.storage: 'runs' is no URI; give one such as s3://"):
        make_config({"checkpoints": {"storage": "runs"}})


def test_a_run_goes_on_from_its_copy_elsewhere(
    tiny_settings: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    three = tiny_settings | {
        "training": tiny_settings["training"] | {"rounds": 3},
        "evaluation": {"images": 8},
    }
    whole = train(make_config(three), tmp_path / "whole", in_process=True)
    uri = f"file://{tmp_path}/bucket/run"
    for machine in ("first", "second"):
        (tmp_path / machine).mkdir()
    monkeypatch.chdir(tmp_path / "first")
    with pytest.raises(KeyboardInterrupt):
        train(make_config(three), uri, in_process=True, listener=Interrupt(2, 1))
    assert Run.load("runs/run").config.checkpoints.storage == uri
    monkeypatch.chdir(tmp_path / "second")
    watcher = Interrupt(-1, 0)
    run = resume(uri, in_process=True, listener=watcher)
    assert watcher.first_round == 2
    assert run.path == Path(os.getcwd()) / "runs" / "run"
    assert arrays_of_round(run.path, 3) == arrays_of_round(whole.path, 3)
    assert rounds_of(run.path) == rounds_of(whole.path)
    Mirror(uri).pull(tmp_path / "third")
    assert Run.load(tmp_path / "third").ended
    with pytest.raises(RunError, match="holds a run already"):
        train(make_config(three), uri, in_process=True)
