"""A body of two replicas on two nodes: the numbers of one process, bit for bit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray._private.authentication.authentication_token_setup import (
    enable_token_auth_by_default,
    ensure_token_if_auth_enabled,
)
from ray.cluster_utils import Cluster

from raygan.api import train
from raygan.config.loading import make_config
from tests.cluster.test_static import Watcher
from tests.run.test_fault_matrix import settings_for
from tests.run.test_resume import arrays_of_round

pytestmark = pytest.mark.slow


@pytest.fixture
def two_nodes() -> Iterator[Cluster]:
    """A head and a site `b`, each for one replica of the body and any devices; this process has joined."""
    enable_token_auth_by_default()
    ensure_token_if_auth_enabled(None, create_token_if_missing=True)
    node = {"num_cpus": 2, "resources": {"body": 1, "small": 2, "medium": 2, "large": 2}}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        cluster.add_node(**node, labels={"site": "b"})
        ray.init(cluster.address, log_to_driver=False, logging_level="error")
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


@pytest.mark.usefixtures("two_nodes")
def test_two_replicas_on_two_nodes_are_one_body(tiny_settings: dict, tmp_path: Path) -> None:
    config = make_config(settings_for(tiny_settings, 1, body_replicas=2, clients_per_actor=2))
    calm = train(config, tmp_path / "calm", in_process=True)
    watcher = Watcher()
    run = train(config, tmp_path / "run", listener=watcher)
    assert {watcher.places["body-0"], watcher.places["body-1"]} == {"head", "b"}
    assert arrays_of_round(run.path, 1) == arrays_of_round(calm.path, 1)
