"""A run's folder that is damaged, edited or hostile: one clear line, or the round before; never a traceback."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from raygan.api import resume
from raygan.errors import ConfigError
from raygan.report import write_report
from raygan.run.stored import Run
from raygan.storage import write_arrays
from tests.cli.command import command
from tests.rounds import rewrite_manifests

Damage = Callable[[Path], object]


@pytest.fixture
def run(kept: Path, tmp_path: Path) -> Path:
    """A copy of a run, free to be damaged."""
    return Path(shutil.copytree(kept, tmp_path / "run"))


def text(name: str, content: str) -> Damage:
    return lambda run: (run / name).write_text(content)


def cut(name: str, keep: int) -> Damage:
    return lambda run: (run / name).write_bytes((run / name).read_bytes()[:keep])


def replaced(name: str, old: str, new: str) -> Damage:
    return lambda run: (run / name).write_text((run / name).read_text().replace(old, new))


def gone(name: str) -> Damage:
    return lambda run: (run / name).unlink()


def edited(name: str, *path: Any, value: Any) -> Damage:
    """One value of a JSON document, or of the first line of a JSON-lines file."""

    def edit(run: Path) -> None:
        lines = (run / name).read_text().splitlines() if name.endswith("l") else [(run / name).read_text()]
        content = node = json.loads(lines[0])
        for key in path[:-1]:
            node = node[key]
        node[path[-1]] = value
        (run / name).write_text("\n".join([json.dumps(content), *lines[1:]]) + "\n")

    return edit


def with_other_arrays(arrays: dict[str, np.ndarray]) -> Damage:
    """Networks that are none, in a checkpoint whose checksums are right."""

    def write(run: Path) -> None:
        written = write_arrays(run / NETWORKS, arrays)
        entry = {"bytes": written.num_bytes, "sha256": written.sha256}
        files = {Path(NETWORKS).name: entry}
        rewrite_manifests(run, lambda manifest: manifest["files"].update(files), Path(NETWORKS).parent.name)

    return write


def text_added(name: str, section: str, key: str, value: Any) -> Damage:
    def write(run: Path) -> None:
        content = yaml.safe_load((run / name).read_text())
        content[section][key] = value
        (run / name).write_text(yaml.safe_dump(content))

    return write


def loader_added(run: Path) -> None:
    content = yaml.safe_load((run / "config.yaml").read_text())
    content["data"]["domains"][0] |= {"npz": None, "loader": "mine:load"}
    (run / "config.yaml").write_text(yaml.safe_dump(content))


BODY, MANIFEST = "checkpoints/round-0002/body.safetensors", "checkpoints/round-0002/manifest.json"
NETWORKS = "checkpoints/round-0002/cluster-0.safetensors"


@pytest.mark.parametrize(
    ("damage", "arguments", "words"),
    [
        (gone("config.yaml"), ("report",), "no config.yaml"),
        (text("config.yaml", "seed: ["), ("report",), "is not YAML"),
        (text("config.yaml", "- 1"), ("sample",), "holds a list"),
        (text("config.yaml", "seeed: 1"), ("evaluate",), "seeed: unknown key"),
        (text("config.yaml", "training: {rounds: 0}"), ("train", "--resume"), "training.rounds"),
        (text("config.yaml", "seed: !!python/object/apply:os.system [exit]"), ("report",), "is not YAML"),
        (text("config.yaml", "data: {domains: [{npz: /etc/passwd}]}"), ("sample",), "clients that its config"),
        (text("config.yaml", "data: {domains: [{npz: /etc/passwd}]}"), ("evaluate",), "clients that its config"),
        (replaced("config.yaml", "width: 0.0625", "width: 0.125"), ("sample",), "not those of its config.yaml"),
        (text("metrics.jsonl", "{}\n"), ("report",), "metrics.jsonl:1: round"),
        (text("metrics.jsonl", "nonsense\n"), ("report",), "metrics.jsonl:1: this line is damaged"),
        (text("metrics.jsonl", "[]\n"), ("report",), "metrics.jsonl:1: this line is damaged"),
        (edited("metrics.jsonl", "train_seconds", value="soon"), ("report",), "train_seconds"),
        (edited("metrics.jsonl", "scores", "domain0", value=3), ("report",), "scores.domain0"),
        (edited("metrics.jsonl", "faults", value=[[1]]), ("report",), "faults.0"),
        (edited("clusters.jsonl", "clients", value={}), ("report",), "clusters.jsonl:1: clients"),
        (edited("clusters.jsonl", "clients", "0", value=None), ("report",), "clients.0"),
        (cut("cuts.json", 100), ("report",), "cuts.json: cannot be read"),
        (edited("cuts.json", "clients", value=[]), ("report",), "cuts.json: clients"),
        (edited("cuts.json", "clients", 0, "generator", value="0, 0"), ("report",), "clients.0.generator"),
        (edited("costs.json", "memory_bytes", value={}), ("report",), "costs.json: memory_bytes"),
        (gone("domains.json"), ("sample",), "domains.json: cannot be read"),
        (text("domains.json", "[]"), ("sample",), "domains.json: the document: List should have at least 1 item"),
        (edited("domains.json", 0, "channels", value=2), ("sample",), "domains.json: 0.channels"),
        (edited("domains.json", 0, "num_train", value=3), ("sample",), "class_counts are not those of its classes"),
        (edited("domains.json", 0, "classes", value="no list"), ("sample",), "domains.json: 0.classes"),
        (with_other_arrays({"x": np.zeros(1, np.float32)}), ("sample",), "has an array named 'x'; use another round"),
        (with_other_arrays({"generator.99.w": np.zeros(1, np.float32)}), ("sample",), "not those of its config.yaml"),
        (with_other_arrays({"generator.0.w": np.zeros(1, np.float32)}), ("evaluate",), "not those of its config.yaml"),
        (text_added("config.yaml", "model", "blocks", "mynets:blocks"), ("sample",),
         "--trust: this run needs code of its own (model.blocks mynets:blocks); give --trust"),
        (loader_added, ("evaluate",), "--trust: this run needs code of its own (loader mine:load)"),
        (cut("summary.json", 50), ("report",), "summary.json: cannot be read"),
        (edited("summary.json", "finished", value=7), ("report",), "summary.json: finished"),
        (cut(NETWORKS, 100), ("sample", "--round", "2"), "cluster-0.safetensors is damaged); choose one of: 1"),
        (gone(NETWORKS), ("evaluate", "--round", "2"), "cluster-0.safetensors is missing); choose one of: 1"),
        (cut(MANIFEST, 20), ("sample", "--round", "2"), "manifest.json: cannot be read"),
        (edited(MANIFEST, "clusters", "0", value=9), ("sample", "--round", "2"), "was altered or damaged"),
        (lambda run: shutil.rmtree(run / "checkpoints"), ("sample",), "no round is kept"),
        (lambda run: shutil.rmtree(run / "checkpoints" / "round-0001"), ("sample", "--round", "1"),
         "round 1 was not kept; choose one of: 2"),
        (lambda run: None, ("sample", "--round", "3"), "there is no round 3; choose one of: 1, 2"),
        (lambda run: None, ("evaluate", "--round", "-1"), "there is no round -1; choose one of: 1, 2"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_one_line(run: Path, damage: Damage, arguments: tuple, words: str) -> None:
    damage(run)
    before = sorted(path.name for path in run.iterdir())
    name, *options = arguments
    order = (name, *options, run) if options[:1] == ["--resume"] else (name, run, *options)
    command(*order).assert_refused(words)
    assert sorted(path.name for path in run.iterdir()) == before


def test_a_damaged_round_gives_way_to_the_one_before(run: Path, tmp_path: Path) -> None:
    cut(NETWORKS, 100)(run)
    assert Run.load(run).kept_round() == 1
    found = command("sample", run, "--out", tmp_path / "a.npz", "--count", 1)
    assert (found.status, found.out) == (
        0,
        f"wrote {tmp_path / 'a.npz'}: 4 images of cluster 0 after round 1\n",
    )


def test_a_summary_that_was_cut_off_is_written_again(run: Path) -> None:
    before = json.loads((run / "summary.json").read_text())
    cut("summary.json", 30)(run)
    assert not Run.load(run).ended
    assert command("train", "--resume", run, "--in-process").status == 0
    after = json.loads((run / "summary.json").read_text())
    assert after["scores"] == before["scores"]


def test_a_wait_that_has_no_end_is_refused(run: Path) -> None:
    gone("summary.json")(run)
    found = command("train", "--resume", run, "--in-process", "--wait-for-nodes", "inf")
    found.assert_refused("ray.wait_for_nodes_s: inf does not fit")
    with pytest.raises(ConfigError, match=r"ray.wait_for_nodes_s: nan does not fit"):
        resume(run, in_process=True, wait_for_nodes_s=float("nan"))


def test_a_picture_behind_a_link_is_none_of_the_runs(run: Path, tmp_path: Path) -> None:
    """It would end up in a page that is passed on."""
    secret = Path(shutil.copy(run / "samples" / "round-0001-cluster-0.png", tmp_path / "secret.png"))
    for file in (run / "samples").glob("*.png"):
        file.unlink()
        file.symlink_to(secret)
    assert Run.load(run).samples == []
    assert "No picture has been drawn" in write_report(run).read_text()


def test_a_run_is_read_without_its_data_or_code(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the file of a domain nor a loader beside the folder is looked at."""
    loader_added(run)
    (run.parent / "mine.py").write_text("raise SystemExit('loaded')\n")
    monkeypatch.chdir(run.parent)
    assert write_report(run).exists()
    assert command("sample", run, "--out", "a.png").status == 0
    assert Run.load(run).generators()[0].num_classes == 4


def test_weights_of_other_networks_are_refused(run: Path) -> None:
    """As after an edit of config.yaml."""
    gone("summary.json")(run)
    config = (run / "config.yaml").read_text()
    assert "width: 0.0625" in config
    (run / "config.yaml").write_text(config.replace("width: 0.0625", "width: 0.125").replace("rounds: 2", "rounds: 3"))
    command("train", "--resume", run, "--in-process").assert_refused("model.width 0.125 instead of 0.0625")


HOSTILE = "<script>alert(1)</script>&\"'"


def test_the_report_shows_hostile_text_as_text(run: Path) -> None:
    config = (run / "config.yaml").read_text()
    (run / "config.yaml").write_text(config.replace("domain0.npz", f"{HOSTILE[:16]}.npz"))
    for name, path in (
        ("metrics.jsonl", ("faults",)), ("summary.json", ("finished",)), ("cuts.json", ("solver",)),
    ):  # fmt: skip
        edited(name, *path, value=[HOSTILE] if path == ("faults",) else HOSTILE)(run)
    edited("cuts.json", "clients", 0, "device", value=HOSTILE)(run)
    edited("metrics.jsonl", "links", value={HOSTILE: {HOSTILE: {"records": 1, "bytes": 1}}})(run)
    edited("metrics.jsonl", "phase_seconds", value={HOSTILE: 1.0})(run)
    (run / "samples" / f"round-0001-cluster-0.png{HOSTILE[:8]}").touch()
    page = write_report(run).read_text()
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
