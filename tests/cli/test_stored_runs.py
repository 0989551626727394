"""`raygan sample`, `evaluate` and `report` on a run that was kept."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

import raygan
from raygan.cli import main, sample
from raygan.errors import InputError, RunError
from raygan.evaluation.classifier import ClassifierRecipe
from raygan.evaluation.scores import usefulness
from raygan.run.stored import Run
from raygan.storage import read_json_lines, write_arrays
from tests.checkpoint_files import client_states
from tests.rounds import rewrite_manifests


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """Runs `raygan ARGUMENTS` in an empty folder: exit status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["raygan", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        shown = capsys.readouterr()
        return int(stopped.value.code or 0), shown.out, shown.err

    return run


def test_a_grid_of_every_class_by_default(cli, kept: Path, tmp_path: Path) -> None:
    status, shown, _ = cli("sample", kept)
    assert (status, shown) == (0, "wrote samples.png: 40 images of cluster 0 after round 2\n")
    assert Image.open(tmp_path / "samples.png").format == "PNG"


def test_arrays_of_chosen_labels_follow_from_the_seed(cli, kept: Path, tmp_path: Path) -> None:
    chosen = ("--labels", "c2,0", "--count", 3, "--cluster", 1, "--round", 2)
    for name, seed in (("a.npz", 1), ("b.npz", 1), ("c.npz", 2)):
        assert cli("sample", kept, *chosen, "--seed", seed, "--out", name)[0] == 0
    first, second, other = (np.load(tmp_path / name) for name in ("a.npz", "b.npz", "c.npz"))
    assert first["labels"].tolist() == [2, 2, 2, 0, 0, 0]
    assert (first["images"].shape, first["images"].dtype) == ((6, 12, 12), np.uint8)
    assert first["classes"].tolist() == ["c0", "c1", "c2", "c3"]
    assert np.array_equal(first["images"], second["images"])
    assert not np.array_equal(first["images"], other["images"])


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        ("cat, dog", ["cat", "dog"], [0, 1]),
        ("00014,2", ["00014", "00015", "00002"], [0, 2]),
        ("7", ["7", "8", "9"], [0]),  # a name goes before a number
        ("Dress,2", ["0 / Shirt", "1 / Dress", "2 / Bag"], [1, 2]),
        (None, ["a", "b"], [0, 1]),
    ],
)
def test_labels_are_names_or_numbers(labels: str | None, names: list[str], expected: list[int]) -> None:
    assert sample._parsed(labels, names, 10) == expected


@pytest.mark.parametrize("labels", ["007", "cat,,dog", "fish"])
def test_what_is_no_class_is_refused(labels: str) -> None:
    with pytest.raises(InputError, match=r"--labels: '\w*' is no class and no number; "):
        sample._parsed(labels, ["cat", "dog"], 10)


def test_the_plan_of_a_run_that_would_go_on_changes_nothing_of_it(cli, kept: Path) -> None:
    before = {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    status, shown, error = cli("train", "--resume", kept, "--dry-run", "--set", "training.rounds=5")
    assert (status, error) == (0, "")
    assert yaml.safe_load(shown[: shown.index("actors")])["training"]["rounds"] == 5
    for client in json.loads((kept / "cuts.json").read_text())["clients"]:
        assert "({}, {})".format(*client["generator"]) in shown, "the cuts that it was trained with"
    status, shown, error = cli("train", "--resume", kept, "--dry-run", "--set", "model.width=0.5")
    assert (status, shown, error.count("\n")) == (2, "", 1)
    assert "model.width 0.5 instead of" in error
    status, shown, _ = cli("train", "--resume", kept, "--dry-run")
    assert (status, shown.count("\n")) == (0, 1)
    assert "has ended: nothing is left to do" in shown
    assert "would have to be fetched" in cli("train", "--resume", "file:///away/run", "--dry-run")[2]
    assert {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()} == before


def test_a_run_keeps_what_was_found_of_its_data(kept: Path) -> None:
    found = json.loads((kept / "data.json").read_text())
    assert found["domain0"] == {"sizes": "12x12", "forms": "8-bit grey", "skipped": "", "notes": []}


def test_scores_of_every_kept_round_are_those_of_the_run(cli, kept: Path) -> None:
    for line in read_json_lines(kept / "metrics.jsonl"):
        status, shown, _ = cli("evaluate", kept, "--round", line["round"], "--json")
        assert status == 0
        again = json.loads(shown)["scores"]
        assert again.keys() == line["scores"].keys()
        for name, before in line["scores"].items():
            assert again[name]["label_agreement_40"] == before["label_agreement"]
            assert again[name]["generation_score_40"] == pytest.approx(before["generation_score"], rel=1e-6)
            assert again[name]["classifier_fid_40"] == pytest.approx(before["classifier_fid"], rel=1e-4)
            assert again[name]["clusters"].keys() == before["clusters"].keys()
            assert again[name]["real"]["label_agreement_24"] == before["real"]["label_agreement"]


def test_usefulness_of_any_round_when_asked_for(cli, kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    quick = ClassifierRecipe(epochs=1, min_steps=5, width=4)
    monkeypatch.setattr(usefulness, "RECIPE", quick)
    status, shown, _ = cli("evaluate", kept, "--round", 1, "--usefulness-images", 40, "--json")
    assert status == 0
    assert 0 <= json.loads(shown)["scores"]["domain1"]["accuracy_40"] <= 1
    status, _, error = cli("evaluate", kept, "--usefulness-images", 1)
    assert (status, error.count("\n")) == (2, 1)
    assert "--usefulness-images: 1; give at least 2" in error


def test_scores_as_a_table(cli, kept: Path) -> None:
    status, shown, _ = cli("evaluate", kept)
    assert status == 0
    for text in ("round 2", "domain0", "label", "real"):
        assert text in shown


def test_a_report_can_be_written_again(cli, kept: Path) -> None:
    (kept / "report.html").unlink()
    assert cli("report", kept)[:2] == (0, f"wrote {kept / 'report.html'}\n")
    assert (kept / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--cluster", 7), "no cluster 7 in round 2; choose one of: 0, 1"),
        (("--labels", "9"), "--labels: no label 9; give labels from 0 to 3"),
        (("--labels", "a,b"), "--labels: 'a' is no class and no number; use one of "),
        (("--labels", "-1"), "--labels: '-1' is no class and no number; "),
        (("--round", 9), "there is no round 9; choose one of: 1, 2"),
        (("--round", 0), "there is no round 0; choose one of: 1, 2"),
        (("--out", "a.jpg"), "--out: 'a.jpg' is neither a picture nor an array nor a sound; end it in .png, .npz"),
        (("--out", "a.wav"), "--out: 'a.wav', but cluster 0 after round 2 draws no recordings; end it in .png or .npz"),
        (("--count", 0), "--count: 0; give 1 to 1,000 images of each label"),
        (("--count", 99999999999), "--count: 99999999999; give 1 to 1,000 images of each label"),
        (("--count", 99999999999, "--out", "a.npz"), "--count: 99999999999; give 1 to 1,000,000 images of each label"),
        (("--labels", "9" * 5000), "--labels: '999"),
        (("--seed", -1), "--seed: -1; give a whole number from 0"),
    ],
)
def test_what_cannot_be_sampled(cli, kept: Path, tmp_path: Path, arguments: tuple, message: str) -> None:
    status, shown, error = cli("sample", kept, *arguments)
    assert (status, shown, error.count("\n")) == (2, "", 1)
    assert message in error
    assert not list(tmp_path.iterdir())


def test_arrays_are_written_whole_or_not_at_all(
    cli, kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there stays there where the disk is full."""
    out = tmp_path / "a.npz"
    out.write_bytes(b"before")

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(sample, "replace_file", full)
    status, _, error = cli("sample", kept, "--out", out)
    assert (status, error.count("\n")) == (2, 1)
    assert "a.npz cannot be written (No space left on device)" in error
    assert out.read_bytes() == b"before"


@pytest.mark.parametrize("labels", [[1.5], ["a"], [0.0]])
def test_labels_are_whole_numbers(kept: Path, labels: list) -> None:
    with pytest.raises(RunError, match=r"labels: .+ numbers; give whole numbers"):
        Run.load(kept).generators()[0].sample(labels)


def test_a_round_that_was_not_kept_has_no_scores(cli, kept: Path) -> None:
    status, shown, error = cli("evaluate", kept, "--round", 5, "--json")
    assert (status, shown) == (2, "")
    assert error.endswith("there is no round 5; choose one of: 1, 2\n")


@pytest.mark.parametrize("command", ["sample", "evaluate", "report"])
def test_a_folder_without_a_run(cli, tmp_path: Path, command: str) -> None:
    status, shown, error = cli(command, tmp_path / "nowhere")
    assert (status, shown, error.count("\n")) == (2, "", 1)
    assert "nowhere: no config.yaml, so this is not a run's folder; give the folder of a run" in error


@pytest.fixture
def made_before(kept: Path, tmp_path: Path) -> Path:
    """A run as it was written before there were algorithms to choose, states of the server and statistics."""
    path = tmp_path / "before"
    shutil.copytree(kept, path)
    config = yaml.safe_load((path / "config.yaml").read_text())
    del config["algorithm"], config["training"]["steps"], config["data"]["images_per_client"]
    (path / "config.yaml").write_text(yaml.safe_dump(config))
    lines = read_json_lines(path / "metrics.jsonl")
    without = [json.dumps({key: value for key, value in line.items() if key != "statistics"}) for line in lines]
    (path / "metrics.jsonl").write_text("".join(line + "\n" for line in without))
    for folder in (path / "checkpoints").iterdir():
        for client, arrays in client_states(folder).items():
            write_arrays(folder / f"client-{client:04d}.safetensors", arrays)
        for file in folder.glob("clients-*"):
            file.unlink()
        rewrite_manifests(path, partial(as_before, folder), folder.name)
    return path


def as_before(folder: Path, manifest: dict[str, Any]) -> None:
    """Every client had a file of its own, and the manifest knew neither of clients nor of the server."""
    del manifest["state"], manifest["config"]
    manifest["files"] = {
        file.name: {"bytes": file.stat().st_size, "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
        for file in folder.glob("*.safetensors")
    }


def test_runs_that_were_made_before_are_shown_sampled_and_scored(cli, kept: Path, made_before: Path) -> None:
    (made_before / "report.html").unlink()
    assert cli("report", made_before)[:2] == (0, f"wrote {made_before / 'report.html'}\n")
    for path, name in ((kept, "new.npz"), (made_before, "old.npz")):
        assert cli("sample", path, "--cluster", 1, "--out", name)[0] == 0
    new, old = np.load("new.npz"), np.load("old.npz")
    assert np.array_equal(new["images"], old["images"])
    both = [json.loads(cli("evaluate", path, "--json")[1])["scores"] for path in (kept, made_before)]
    assert both[0] == both[1]


def test_keys_that_a_run_did_not_have_yet_are_as_they_were(made_before: Path) -> None:
    file = made_before / "config.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()) | {"scenario": 5}))
    config = raygan.Run.load(made_before).config
    assert (config.training.steps, config.data.images_per_client, config.training.lr) == ("own_epochs", None, 5e-4)


def test_a_run_that_was_made_before_goes_on_with_equal_numbers(kept: Path, made_before: Path) -> None:
    shutil.rmtree(made_before / "checkpoints" / "round-0002")
    (made_before / "summary.json").unlink()
    for name in ("metrics.jsonl", "clusters.jsonl"):
        first, _ = (made_before / name).read_text().splitlines()
        (made_before / name).write_text(first + "\n")
    assert raygan.resume(made_before, in_process=True).ended
    for file in sorted(kept.glob("checkpoints/round-0002/*.safetensors")):
        again = made_before / "checkpoints" / "round-0002" / file.name
        assert again.read_bytes() == file.read_bytes(), file.name
