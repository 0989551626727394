"""What actors are placed by, on nodes small enough to count by hand, and on a Ray that knows nothing of devices."""

from __future__ import annotations

from pathlib import Path

import pytest
import ray
from ray._private.worker import global_worker

import raygan
from raygan.config.loading import make_config
from raygan.config.schema import Config
from raygan.run.plan import make_plan
from raygan.runtime.ray import placing
from raygan.runtime.ray.capacity import Autoscaler, Node, NodeType
from raygan.runtime.ray.demand import ActorDemand, all_demands
from raygan.runtime.ray.placing import Offers, chosen, shared
from tests.rounds import assert_same_training

GB = 2**30


def node(cpus: float, memory: float = 64 * GB, free: float | None = None, **devices: float) -> Node:
    total = {"CPU": cpus, "memory": memory, **devices}
    return Node(total, total if free is None else {**total, "CPU": free}, {})


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch):
    """Puts this process on a Ray with these nodes."""
    return lambda *nodes, autoscaler=None: monkeypatch.setattr(placing, "offers", lambda: Offers(nodes, autoscaler))


@pytest.fixture
def config(tiny_settings: dict) -> Config:
    """Six clients in three actors, and a body."""
    return make_config(tiny_settings | {"ray": {"clients_per_actor": 2}})


def with_ray(config: Config, **changes: object) -> Config:
    return config.model_copy(update={"ray": config.ray.model_copy(update=changes)})


def asked(config: Config) -> list[ActorDemand]:
    """What body and clients ask for where they are placed by CPUs."""
    parties = make_plan(config).algorithm.parties()
    placed = shared(parties, with_ray(config, placement="cpus"))
    return [d for d in all_demands(parties, placed) if d.name == "body" or d.profile]


def test_where_no_node_declares_a_device_cpus_count_and_one_line_says_so(on, config: Config) -> None:
    on(node(2))
    lines: list[str] = []
    assert chosen(config, lines.append).ray.placement == "cpus"
    (line,) = lines
    assert line.startswith("no node declares any of large, medium, small, body: actors are placed by CPUs and memory")


def test_where_one_device_is_declared_devices_count(on, config: Config) -> None:
    lines: list[str] = []
    on(node(2), node(2, small=1))
    assert chosen(config, lines.append).ray.placement == "devices"
    on(node(2), autoscaler=Autoscaler((NodeType("a", {"body": 1}, {}, 1),), 1))
    assert chosen(config, lines.append).ray.placement == "devices"
    assert lines == []


def test_who_waits_for_nodes_waits_for_devices(on, config: Config) -> None:
    on(node(2))
    assert chosen(with_ray(config, wait_for_nodes_s=60.0)).ray.placement == "devices"


def test_who_names_a_placement_gets_it(on, config: Config) -> None:
    on(node(2))
    assert chosen(with_ray(config, placement="devices")).ray.placement == "devices"


def test_an_actor_has_a_cpu_and_memory_where_there_is_room(on, config: Config) -> None:
    on(node(2), node(2))
    assert {(d.num_cpus, d.memory) for d in asked(config)} == {(1, 512 * 2**20)}
    assert all(not d.resources for d in asked(config))
    assert len(asked(config)) == 4


@pytest.mark.parametrize(("cpus", "share"), [(4, 1), (2, 0.5), (1, 0.25), (0, 0)])
def test_fewer_cpus_than_actors_are_shared(on, config: Config, cpus: float, share: float) -> None:
    on(node(cpus))
    assert {d.num_cpus for d in asked(config)} == {share}


def test_what_a_profile_names_is_not_shared(on, config: Config) -> None:
    profiles = dict(config.devices.profiles)
    profiles["small"] = profiles["small"].model_copy(update={"num_cpus": 1})
    own = config.model_copy(update={"devices": config.devices.model_copy(update={"profiles": profiles})})
    on(node(2))
    assert {d.profile or d.name: d.num_cpus for d in asked(own)} == {
        "small": 1, "medium": 0.25, "large": 0.25, "body": 0.25,
    }  # fmt: skip


def test_what_the_configuration_names_is_taken(on, config: Config) -> None:
    on(node(8))
    named = with_ray(config, cpus_per_actor=2.0, memory_per_actor=GB)
    assert {(d.num_cpus, d.memory) for d in asked(named)} == {(2, GB)}


def test_without_memory_for_all_nobody_asks_for_it(on, config: Config) -> None:
    on(node(4, memory=GB))
    assert {(d.num_cpus, d.memory) for d in asked(config)} == {(1, 0)}


def test_cpus_that_others_use_are_waited_for(on, config: Config) -> None:
    on(node(4, free=0))
    assert {d.num_cpus for d in asked(config)} == {1}


def test_nodes_that_may_be_started_are_started(on, config: Config) -> None:
    workers = NodeType("worker", {"CPU": 4, "memory": 64 * GB}, {}, 1)
    on(node(2), autoscaler=Autoscaler((workers,), 1))
    assert {d.num_cpus for d in asked(config)} == {1}


@ray.remote
def train_in_a_task(settings: dict, folder: str) -> str:
    """As a notebook's or a job's own code does it."""
    return str(raygan.train(make_config(settings), folder).path)


@pytest.mark.slow
def test_a_run_in_a_task_on_a_ray_without_devices_has_the_same_numbers(two_clients: dict, tmp_path: Path) -> None:
    """And its actors' logs hold what Ray marks them with, and nothing else: no library's warnings."""
    settings = two_clients | {"training": {"rounds": 1, "batch_size": 8}}
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        path = ray.get(train_in_a_task.remote(settings, str(tmp_path / "actors")))
        files = list(Path(global_worker.node.get_logs_dir_path()).glob("worker-*"))
        logs = [file.read_text() for file in files if file.suffix in (".out", ".err")]
    finally:
        ray.shutdown()
    actors = [text.splitlines() for text in logs if ":actor_name:" in text]
    assert len(actors) >= 2 * 4, "two clients, the body, an aggregator"
    assert [line for text in actors for line in text if line and not line.startswith(":")] == []
    alone = raygan.train(make_config(settings), tmp_path / "alone", in_process=True)
    assert_same_training(Path(path), alone.path)
