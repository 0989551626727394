"""`ray job submit` of a run, its log, and what stopping it leaves."""

from __future__ import annotations

import re
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
