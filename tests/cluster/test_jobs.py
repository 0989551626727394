"""`ray job submit` of a run, its log, and what stopping it leaves."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from raygan.api import Run
from tests.cluster.started import StartedCluster, started_cluster, wait_for
from tests.cluster.test_autoscaler import probe

pytestmark = pytest.mark.slow

RESOURCES = '{"small": 4, "medium": 4, "large": 4, "body": 1}'


@pytest.fixture(scope="module")
def cluster() -> Iterator[StartedCluster]:
    with started_cluster("--num-cpus=4", f"--resources={RESOURCES}") as cluster:
        yield cluster


@pytest.fixture
def config(tiny_settings: dict, tmp_path: Path) -> str:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tiny_settings))
    return str(tmp_path / "config.yaml")


def job(cluster: StartedCluster, action: str, *arguments: str) -> str:
    status, output = cluster.call("ray", "job", action, "--address", cluster.dashboard, *arguments)
    assert status == 0, output
    return output


def command(config: str, out: Path, *more: str) -> list[str]:
    return ["--", "raygan", "train", config, "--address", "auto", "--out", str(out), *more]


def test_a_job_runs_to_its_end_with_a_readable_log(cluster: StartedCluster, config: str, tmp_path: Path) -> None:
    log = job(cluster, "submit", *command(config, tmp_path / "run"))
    assert re.search(r"^round   2  .* label agreement: domain0 \d+%", log, flags=re.MULTILINE)
    assert "\x1b[?25l" not in log, "no cursor movements of a progress bar"
    assert "succeeded" in log
    assert Run.load(tmp_path / "run").rounds == [1, 2]


def test_a_job_whose_working_directory_is_gone_succeeds(cluster: StartedCluster, config: str, tmp_path: Path) -> None:
    """Ray takes the folder that it made for a job away when it likes; torch's compiler asks for it when it is imported,
    which is when the first scores are computed."""
    out, submission = tmp_path / "run", ("--no-wait", "--submission-id", "homeless")
    more = ("--in-process", "--set", "training.rounds=12", "--set", "evaluation.every=50")
    train = ("--", "raygan", "train", "config.yaml", "--out", str(out), *more)
    job(cluster, "submit", *submission, "--working-dir", str(Path(config).parent), *train)
    wait_for((out / "clusters.jsonl").exists, 400, "a round")
    made = list(cluster.folder.glob("ray/session_2*/runtime_resources/working_dir_files/_ray_pkg_*/config.yaml"))
    assert made, "the job is in a folder of its own"
    for file in made:
        shutil.rmtree(file.parent)
    assert not (out / "summary.json").exists(), "it goes on"
    wait_for(lambda: "RUNNING" not in job(cluster, "status", "homeless"), 300, "the job to end")
    assert "succeeded" in job(cluster, "status", "homeless"), job(cluster, "logs", "homeless")
    assert f"wrote {out / 'report.html'}" in job(cluster, "logs", "homeless")


def test_a_stopped_job_leaves_a_checkpoint_and_no_actor(cluster: StartedCluster, config: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    more = ("--set", "training.rounds=100000")
    job(cluster, "submit", "--no-wait", "--submission-id", "stopped", *command(config, out, *more))
    wait_for(
        lambda: out.exists() and Run.load(out).rounds if (out / "config.yaml").exists() else False,
        240,
        "a round",
    )
    job(cluster, "stop", "stopped")
    assert "stopped" in job(cluster, "status", "stopped").lower()
    assert Run.load(out).rounds, "whole checkpoints are left"
    wait_for(lambda: not probe(cluster)[1], 60, "the actors to end")
    assert "stopping once this round has ended and is saved" in job(cluster, "logs", "stopped")
