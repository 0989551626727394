"""A run on three nodes, two of which keep their data: numbers, places, metrics, and what cannot be met."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
import ray
from ray._private.state import actors

from raygan.api import Run, train
from raygan.config.loading import make_config, without_labels
from raygan.config.site_policy import VARIABLE, site_policies
from raygan.errors import InputError, PolicyError
from raygan.nn.network import build_networks
from raygan.run.events import Listener
from raygan.run.plan import make_plan, planned
from raygan.split.planning import measure
from raygan.storage import read_arrays
from raygan.telemetry.definitions import BY_NAME, METRICS
from tests.cluster.scrape import Samples, scrape_until, total
from tests.cluster.sites import FOLDER

pytestmark = pytest.mark.slow


class Watcher(Listener):
    """Notes where the actors are."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}

    def on_round(self, metrics: dict[str, Any]) -> None:
        sites = {node["NodeID"]: node["Labels"].get("site", "head") for node in ray.nodes()}
        for actor in actors().values():
            if actor["State"] == "ALIVE":
                self.places[actor["Name"]] = sites[actor["Address"]["NodeID"]]


def alive() -> list[str]:
    return [actor["Name"] for actor in actors().values() if actor["State"] != "DEAD"]


@pytest.fixture(scope="module")
def seen(static_cluster: Any, site_settings: dict, tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Watcher]:
    watcher = Watcher()
    path = tmp_path_factory.mktemp("cluster") / "run"
    return train(make_config(site_settings), path, listener=watcher), watcher


@pytest.fixture(scope="module")
def in_process(site_settings: dict, tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(make_config(site_settings), tmp_path_factory.mktemp("in_process") / "run", in_process=True)


def arrays_of(run: Run) -> dict[str, Any]:
    files = sorted((run.path / "checkpoints" / "round-0002").glob("*.safetensors"))
    return {f"{file.name}/{name}": array for file in files for name, array in read_arrays(file).items()}


def test_the_numbers_are_those_of_one_process(seen: tuple[Run, Watcher], in_process: Run) -> None:
    mine, other = arrays_of(seen[0]), arrays_of(in_process)
    assert mine.keys() == other.keys()
    assert len(mine) > 100
    assert [name for name in mine if mine[name].tobytes() != other[name].tobytes()] == []


def test_each_sites_evaluator_scores_its_domain(seen: tuple[Run, Watcher], in_process: Run) -> None:
    mine, other = seen[0].summary["scores"], in_process.summary["scores"]
    assert mine.keys() == other.keys()
    for domain, scores in mine.items():
        for name in ("label_agreement", "generation_score", "classifier_fid"):
            assert scores[name] == pytest.approx(other[domain][name], rel=1e-6)
            assert scores["real"][name] == pytest.approx(other[domain]["real"][name], rel=1e-6)


def test_every_actor_is_where_its_data_or_its_resource_is(seen: tuple[Run, Watcher]) -> None:
    places = seen[1].places
    for number, profile in enumerate(("small", "medium", "large") * 2):
        assert places[f"client-{number:02d} {profile}"] == ("a" if number < 3 else "b")
    assert places["body"] == "head"
    assert places["evaluator"] == "head", "beside the body"
    assert places["evaluator site=a"] == "a"
    assert places["evaluator site=b"] == "b"


def test_a_sites_log_has_who_asked_for_its_data(seen: tuple[Run, Watcher], site_settings: dict) -> None:
    lines = (Path(os.environ[FOLDER]) / "asked.jsonl").read_text().splitlines()
    asked = {line["for"] for line in map(json.loads, lines) if line["decision"] == "allowed"}
    assert asked == {"survey", "client-03", "client-04", "client-05", "scores"}


def test_a_site_refuses_what_its_policy_does_not_allow(static_cluster: Any, site_settings: dict) -> None:
    config = make_config(site_settings | {"algorithm": "fed_gan"})
    with pytest.raises(PolicyError) as raised, planned(config):
        pass
    assert str(raised.value).startswith("data.domains[1] (tests.cluster.sites:second, site=b): the site policy ")
    assert "refuses: allow.algorithms: fed_gan is asked, huscf is allowed; change" in str(raised.value)


def test_a_drivers_environment_does_not_replace_a_sites_policy(static_cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "lenient.yaml").write_text("minimum_cut: 0")
    options = {
        "num_cpus": 0,
        "label_selector": {"site": "b"},
        "runtime_env": {"env_vars": {VARIABLE: str(tmp_path / "lenient.yaml")}},
    }
    found = ray.get(ray.remote(_policies).options(**options).remote(), timeout=120)
    assert found == [str(tmp_path / "lenient.yaml"), str(Path(os.environ[FOLDER]) / "policy.yaml")]


def _policies() -> list[str]:
    return [str(file.path) for file in site_policies()]


def test_the_run_can_be_read_where_the_data_is_not(seen: tuple[Run, Watcher]) -> None:
    assert [info.num_train for info in seen[0].infos] == [96, 96]
    assert seen[0].generators()[0].sample([0, 1]).shape == (2, 1, 12, 12)


@pytest.fixture(scope="module")
def samples(seen: tuple[Run, Watcher]) -> Samples:
    """Of the run that has just ended: agents forget a process's metrics some time after its end."""
    steps, rounds = BY_NAME["raygan_steps"].exported, BY_NAME["raygan_rounds"].exported  # an actor's, the driver's
    return scrape_until(lambda found: (total(found, steps, run="run"), total(found, rounds, run="run")) == (2 * 4, 2))


def test_every_documented_metric_is_served(samples: Samples) -> None:
    for metric in METRICS:
        name = metric.exported + ("_count" if metric.kind == "histogram" else "")
        if metric.name in ("raygan_absent_steps", "raygan_lost", "raygan_faults", "raygan_epsilon"):
            assert name not in samples, "nothing went wrong in this run, which has no budgets"
            continue
        assert name in samples, metric.name
        for tags, value in samples[name]:
            assert tags.keys() >= {"run", *metric.tags}
            assert value >= (-1 if metric.name == "raygan_cluster_agreement" else 0)


def test_bytes_are_those_of_the_cuts(samples: Samples, seen: tuple[Run, Watcher]) -> None:
    """A client's link: its G cut once and its D cut three times, activations and gradients alike, in both directions."""
    run = seen[0]
    plan = make_plan(without_labels(run.config))
    costs = measure(plan.config, build_networks(plan.layout.spec, None, 0), plan.layout.spec)
    generator, discriminator = costs.generator.output_bytes, costs.discriminator.output_bytes
    name = BY_NAME["raygan_bytes"].exported
    for worker in plan.layout.workers:
        (client,) = worker.clients
        (gh, gt), (dh, dt) = client.generator_cut, client.discriminator_cut
        a_step = generator[gh] + generator[-2 - gt] + 3 * (discriminator[dh] + discriminator[-2 - dt])
        for direction in ("up", "down"):
            assert total(samples, name, link=worker.name, direction=direction) == 2 * 4 * a_step
    assert total(samples, BY_NAME["raygan_record_bytes"].exported, run="run", link="client -> body") == sum(
        run.metrics["bytes_up"]
    )
    moved = run.metrics["bytes_up"].sum() + run.metrics["bytes_down"].sum()
    assert total(samples, name, run="run") == moved


def test_metrics_are_the_runs_own_numbers(samples: Samples, seen: tuple[Run, Watcher]) -> None:
    last = seen[0].records.iloc[-1]

    def value(name: str, **tags: str) -> float:
        return total(samples, BY_NAME[name].exported, run="run", **tags)

    assert value("raygan_images") == seen[0].metrics["images"].sum() == 2 * 6 * 32
    assert value("raygan_round") == 2
    assert value("raygan_clusters") == last["clusters"]
    sizes = [value("raygan_cluster_size", cluster=str(n)) for n in range(last["clusters"])]
    assert sizes == list(last["cluster_sizes"].values())
    for domain, scores in last["scores"].items():
        agreement = value("raygan_score", domain=domain, score="label_agreement")
        assert agreement == pytest.approx(scores["label_agreement"])
    assert total(samples, "ray_raygan_step_seconds_count", run="run") == 2 * 4 - 1
    assert 0 < value("raygan_loss", network="generator") < 20
    assert value("raygan_phase_seconds", role="body") == pytest.approx(
        sum(sum(row.values()) for row in seen[0].records["body_seconds"]), rel=1e-6
    )
    between = value("raygan_actor_seconds", actor="body")
    assert 0 < between < 2 * seen[0].summary["seconds"]
    assert value("raygan_memory_bytes", actor="body") > 50e6


def test_a_file_that_is_not_at_its_site_is_told_before_an_actor_starts(
    static_cluster: Any, site_settings: dict, tmp_path: Path
) -> None:
    domain = {"npz": "/nowhere/faces.npz", "clients": 3, "labels": {"site": "a"}}
    with pytest.raises(InputError, match=r"/nowhere/faces.npz"):
        train(make_config(site_settings | {"data": {"domains": [domain]}}), tmp_path / "run")
    assert alive() == []
    assert not (tmp_path / "run").exists()


def test_an_impossible_demand_fails_at_once_and_leaves_nothing(
    static_cluster: Any, tiny_settings: dict, tmp_path: Path
) -> None:
    settings = tiny_settings | {
        "devices": tiny_settings["devices"] | {"fleet": ["large"]},
        "cuts": {},
        "ray": tiny_settings["ray"] | {"clients_per_actor": 1},
    }
    started = time.monotonic()
    with pytest.raises(InputError) as raised:
        train(make_config(settings), tmp_path / "run")
    assert time.monotonic() - started < 10
    assert str(raised.value) == (
        "profile 'large': needs 6 'large', the cluster has 2; add nodes that declare 'large', or change devices.fleet"
    )
    assert alive() == []
    assert not (tmp_path / "run").exists()


def test_a_site_that_is_not_there_is_waited_for_and_told(
    static_cluster: Any, site_settings: dict, tmp_path: Path
) -> None:
    domains = [site_settings["data"]["domains"][0] | {"labels": {"site": "c"}}]
    waits = site_settings["ray"] | {"wait_for_nodes_s": 2}
    lines: list[str] = []
    listener = Listener()
    listener.on_wait = lines.append  # type: ignore[method-assign]
    with pytest.raises(InputError, match="needs a node labelled site=c, there is none"):
        train(
            make_config(site_settings | {"data": {"domains": domains}, "ray": waits}),
            tmp_path / "run",
            listener=listener,
        )
    assert lines
    assert "missing: 1 small" in lines[0]
