"""A node that goes takes its client actors with it; the others go on, and they come back with a node like it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
from ray._private.authentication.authentication_token_setup import (
    enable_token_auth_by_default,
    ensure_token_if_auth_enabled,
)
from ray._private.state import actors
from ray.cluster_utils import Cluster

from raygan.api import train
from raygan.config.loading import make_config
from raygan.run.events import Listener
from raygan.runtime import limits
from raygan.runtime.ray.backend import RayBackend
from tests.cluster.started import wait_for

pytestmark = pytest.mark.slow

ROUNDS, GOES, COMES = 8, 1, 4
"""Rounds in all, and those, from 0, in which the node goes and another comes."""


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """A head with all devices but the large ones, whose node the test adds and removes."""
    enable_token_auth_by_default()
    ensure_token_if_auth_enabled(None, create_token_if_missing=True)
    head = {"num_cpus": 2, "resources": {"body": 1, "small": 2, "medium": 2}, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        ray.init(cluster.address, log_to_driver=False, logging_level="error")
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


class Weather(Listener):
    """Kills the large devices' node in one round and starts another in a later one."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._node: Any = None
        self.faults: list[str] = []
        self.last_round = 0

    def start_node(self) -> None:
        self._node = self._cluster.add_node(num_cpus=1, resources={"large": 2})

    def on_step(self, round_number, step, losses, num_images) -> None:
        if step > 0:
            return
        self.last_round = round_number
        if round_number == GOES:
            self._cluster.remove_node(self._node, allow_graceful=False)
        elif round_number == COMES:
            self.start_node()
            wait_for(lambda: len(living("large")) == 2, 120, "the large devices' actors")

    def on_fault(self, fault: str) -> None:
        self.faults.append(fault)


def living(profile: str) -> list[str]:
    return [a["Name"] for a in actors().values() if a["State"] == "ALIVE" and profile in a["Name"]]


def test_the_others_go_on_and_its_clients_come_back(
    cluster: Cluster, tiny_settings: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "LIMITS", replace(limits.LIMITS, join_s=5.0))
    weather, join = Weather(cluster), RayBackend.join
    waits: list[tuple[int, float]] = []

    def noted(backend: RayBackend, wait_s: float) -> Any:
        waits.append((weather.last_round, wait_s))
        return join(backend, wait_s)

    monkeypatch.setattr(RayBackend, "join", noted)
    weather.start_node()
    training = tiny_settings["training"] | {"rounds": ROUNDS}
    settings = tiny_settings | {"training": training, "ray": {"clients_per_actor": 1, "body_threads": 1}}
    run = train(make_config(settings), tmp_path / "run", listener=weather)
    assert run.ended
    assert run.metrics["round"].tolist() == list(range(1, ROUNDS + 1))
    clients = run.metrics["clients"].tolist()
    assert clients[: GOES + 3] == [6, 4, 4, 4], "the round that lost them, and those without them"
    assert clients[-1] == 6
    for name in ("client-02 large", "client-05 large"):
        assert [fault for fault in weather.faults if fault.startswith(f"{name} was lost")]
    assert not [fault for fault in weather.faults if "set aside" in fault]
    later = [wait_s for number, wait_s in waits if GOES < number < COMES]
    assert set(later) == {limits.LIMITS.look_s}, "they are waited for in the round that lost them only"
