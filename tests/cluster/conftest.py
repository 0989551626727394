"""A static cluster of three nodes on this machine: the body's and two sites' that keep their data."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
from ray._private.authentication.authentication_token_setup import (
    enable_token_auth_by_default,
    ensure_token_if_auth_enabled,
)
from ray.cluster_utils import Cluster

from raygan.config.site_policy import VARIABLE
from tests.cluster.sites import FOLDER, SITE
from tests.conftest import write_domain

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site_settings(tiny_settings: dict, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    """`tiny_settings`, each domain kept at a site of its own."""
    folder = tmp_path_factory.mktemp("sites")
    for number in range(2):
        write_domain(folder / f"domain{number}.npz", number)
    domains = [
        {"loader": f"tests.cluster.sites:{name}", "clients": 3, "labels": {"site": site}}
        for name, site in (("first", "a"), ("second", "b"))
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER, str(folder))
        yield tiny_settings | {
            "data": {"domains": domains},
            "ray": tiny_settings["ray"] | {"clients_per_actor": 1},
        }


@pytest.fixture(scope="module")
def static_cluster(site_settings: dict) -> Iterator[Cluster]:
    """Head with the body's resource, site a, site b, which has a policy; this process has joined. Ray's authentication is
    on."""
    policy = Path(os.environ[FOLDER]) / "policy.yaml"
    policy.write_text("{allow: {algorithms: [huscf]}, log: asked.jsonl}")
    enable_token_auth_by_default()
    ensure_token_if_auth_enabled(None, create_token_if_missing=True)
    environment = {
        FOLDER: os.environ[FOLDER],
        "PYTHONPATH": os.pathsep.join([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]),
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    common = {"num_cpus": 2, "_system_config": {"metrics_report_interval_ms": 500}}
    cluster = Cluster(
        initialize_head=True,
        head_node_args={
            **common,
            "resources": {"body": 1},
            "env_vars": environment,
            "include_dashboard": False,
        },
    )
    try:
        for site in ("a", "b"):
            cluster.add_node(
                num_cpus=2,
                resources={"small": 1, "medium": 1, "large": 1},
                labels={"site": site},
                env_vars={**environment, SITE: site} | ({VARIABLE: str(policy)} if site == "b" else {}),
            )
        ray.init(cluster.address, log_to_driver=False, logging_level="error")
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()
