"""`raygan train` on a head alone: Ray's autoscaler brings the nodes, and takes them away again."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from raygan.api import Run
from tests.cluster.started import StartedCluster, started_cluster, wait_for

pytestmark = pytest.mark.slow

NODE_TYPES = {
    "body": {"resources": {"CPU": 2, "body": 1}, "max_workers": 1},
    "small": {"resources": {"CPU": 1, "small": 1}, "max_workers": 2},
    "medium": {"resources": {"CPU": 1, "medium": 1}, "max_workers": 2},
    "large": {"resources": {"CPU": 1, "large": 2}, "max_workers": 2},
}


@pytest.fixture(scope="module")
def cluster() -> Iterator[StartedCluster]:
    with started_cluster("--num-cpus=1", node_types=NODE_TYPES) as cluster:
        yield cluster


@pytest.fixture
def config(tiny_settings: dict, tmp_path: Path) -> str:
    settings = tiny_settings | {"ray": tiny_settings["ray"] | {"clients_per_actor": 1}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    return str(tmp_path / "config.yaml")


PROBE = """
import json, sys, ray
from ray._private.state import actors
ray.init(sys.argv[1], log_to_driver=False, logging_level="error")
nodes = {n["NodeID"]: sorted(k for k in n["Resources"] if k in ("body", "small", "medium", "large"))
         for n in ray.nodes() if n["Alive"]}
here = {a["Name"]: nodes.get(a["Address"]["NodeID"]) for a in actors().values() if a["State"] == "ALIVE"}
pending = [a["Name"] for a in actors().values() if a["State"] not in ("ALIVE", "DEAD")]
print("PROBE" + json.dumps([sorted(nodes.values()), here, pending]))
"""


def probe(cluster: StartedCluster) -> tuple[list, dict, list]:
    """Nodes by their resources, living actors by their node's, actors that wait."""
    import subprocess
    import sys

    out = subprocess.run(
        [sys.executable, "-c", PROBE, cluster.address],
        env=dict(cluster.environment),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    ).stdout
    return tuple(json.loads(out[out.index("PROBE") + 5 :]))


def test_nodes_come_for_the_run_and_go_after_it(cluster: StartedCluster, config: str, tmp_path: Path) -> None:
    out = tmp_path / "run"
    long = ("--set", "training.rounds=40", "--set", "evaluation.every=40")  # it is looked at while it goes on
    train = cluster.popen("raygan", "train", config, "--address", cluster.address, "--out", str(out), *long)
    wait_for(lambda: train.poll() is not None or (out / "metrics.jsonl").exists(), 300, "the first round")
    nodes, actors, pending = probe(cluster)
    output, _ = train.communicate(timeout=300)
    assert train.returncode == 0, output
    assert nodes == [[], ["body"], ["large"], ["medium"], ["medium"], ["small"], ["small"]]
    assert actors["body"] == ["body"]
    assert actors.get("evaluator", ["body"]) == ["body"]
    for number, profile in enumerate(("small", "medium", "large") * 2):
        assert actors[f"client-{number:02d} {profile}"] == [profile]
    assert not [name for name in pending if name.startswith(("client", "body"))]
    assert re.search(r"waiting for nodes: \d of 7 actors have one, missing: ", output)
    assert Run.load(out).ended
    wait_for(lambda: probe(cluster)[0] == [[]], 180, "the idle nodes to go")


def test_nodes_come_for_a_search_too(cluster: StartedCluster, search_file: Path, tmp_path: Path) -> None:
    out = tmp_path / "search"
    here = ("--set", f"base.ray.address={cluster.address}", "--set", "base.ray.clients_per_actor=1")
    status, output = cluster.call("raygan", "tune", str(search_file), *here, "--out", str(out))
    assert status == 0, output
    assert len((out / "results.csv").read_text().splitlines()) == 3, "two trials"
    found = "profile 'small': needs 4 'small', the cluster has"
    four = ("--set", "base.data.domains.0.clients=3", "--set", "base.data.domains.0.limit=48")
    status, output = cluster.call("raygan", "tune", str(search_file), *here, *four, "--out", str(tmp_path / "more"))
    assert status == 2
    assert found in output
    assert "raise max_workers of a node type that declares 'small'" in output


def test_more_than_the_autoscaler_may_start_fails_at_once(cluster: StartedCluster, config: str, tmp_path: Path) -> None:
    started = time.monotonic()
    status, output = cluster.call(
        *("raygan", "train", config, "--address", cluster.address, "--out", str(tmp_path / "run")),
        *("--set", "devices.fleet=[medium]", "--set", "cuts.fixed={}"),
    )
    assert status == 2
    assert (
        "profile 'medium': needs 6 'medium', the cluster has 0, its autoscaler may add 2; raise max_workers of a "
        "node type that declares 'medium', or change devices.fleet" in output
    )
    assert time.monotonic() - started < 60, "the command's own start included, on a busy machine"
    _, actors, pending = probe(cluster)
    assert not actors
    assert not pending
    assert not (tmp_path / "run").exists()
