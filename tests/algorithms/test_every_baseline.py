"""What every algorithm beside the method must do: actors as in process, a killed driver, drawn clients, a dead one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from raygan.algorithms import algorithm_of
from raygan.api import resume, train
from raygan.config.loading import make_config
from raygan.report import write_report
from tests.rounds import assert_same_training, rounds_of
from tests.run.kills import FaultInjector, Injection, injector
from tests.run.test_faults import Injections
from tests.run.test_resume import arrays_of_round
from tests.split.canaries import Search, secrets_of, tapped_workers, write_canaries

__all__ = ["injector"]

CLUSTERS = {"count": 2, "warmup_rounds": 1, "feature_batches": 2}
KEYS: dict[str, dict[str, Any]] = {
    "local": {},
    "fed_gan": {"fed_gan": {"sync_every": 2}},
    "central": {"central": {"by": "domain"}},
    "clustered_fed_gan": {"clusters": CLUSTERS},
    "hierarchical": {"clusters": CLUSTERS, "hierarchical": {"global_every": 3}},
    "md_gan": {"md_gan": {"num_batches": 2}},
    "fed_split_gan": {},
    "ua_gan": {},
    "pfl_gan": {"pfl_gan": {"local_rounds": 2, "synthetic_images": 40}},
}
SERVED = {"md_gan": "learn", "fed_split_gan": "learn", "ua_gan": "mix", "pfl_gan": "mix"}
"""Those that have a server, each with a call of it."""
ONE = dict.fromkeys(("fed_gan", "md_gan", "fed_split_gan", "ua_gan"), 1)
MODELS = {"local": 6, "pfl_gan": 6, "central": 2, "clustered_fed_gan": 2, "hierarchical": 2} | ONE


def slow_but(*quick: str) -> pytest.MarkDecorator:
    """All of them, where the default run has time for some."""
    names = [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in KEYS]
    return pytest.mark.parametrize("algorithm", names, indirect=True, scope="module")


@pytest.fixture(scope="module", params=list(KEYS))
def algorithm(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def settings(settings: dict[str, Any], algorithm: str) -> dict[str, Any]:
    """With keys of its own, clients that have unequal numbers of images, and a moving average of G's weights."""
    first, second = settings["data"]["domains"]
    data = {"domains": [first, second | {"limit": 60}]}
    training = settings["training"] | {"average": {"half_life_images": 40}}
    return settings | {"data": data, "training": training} | KEYS[algorithm]


def test_it_has_models_scores_statistics_and_a_report(whole: Path, algorithm: str) -> None:
    for line in rounds_of(whole):
        assert line["clients"] == 6
        assert 0 < line["statistics"]["discriminator_real"] < 1
        assert all(domain["label_agreement"] is not None for domain in line["scores"].values())
    models = {name.partition("/")[0] for name in arrays_of_round(whole, 4) if name.startswith(("model-", "cluster-"))}
    assert len(models) == MODELS[algorithm]
    averages = {name.partition("/")[2] for name in arrays_of_round(whole, 4) if "/average." in name}
    assert len({name.split(".")[1] for name in averages}) == 5, "of every block of G"
    assert f"{algorithm_of(algorithm).shown()}, 6 clients" in write_report(whole).read_text()


@slow_but("md_gan")
def test_actors_compute_the_same(small_ray: None, settings: dict, whole: Path, tmp_path: Path) -> None:
    run = train(make_config(settings), tmp_path / "run")
    assert arrays_of_round(run.path, 4) == arrays_of_round(whole, 4)
    assert_same_training(run.path, whole)


@slow_but("md_gan")
@pytest.mark.parametrize("how", ["in_process", pytest.param("driver", marks=pytest.mark.slow)])
def test_a_killed_run_goes_on(settings: dict, whole: Path, tmp_path: Path, how: str) -> None:
    """SIGKILL in the middle of the third round's checkpoint."""
    config, path = tmp_path / "config.yaml", tmp_path / "run"
    config.write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "tests.run.dying_driver", str(config), str(path), how]
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    assert subprocess.run(command, env=environment, timeout=300, check=False).returncode == -signal.SIGKILL
    assert resume(path, in_process=how == "in_process").ended
    assert arrays_of_round(path, 4) == arrays_of_round(whole, 4)
    assert_same_training(path, whole)


@slow_but("fed_gan", "md_gan")
def test_clients_that_are_drawn_take_part(settings: dict, tmp_path: Path) -> None:
    drawn = settings | {"training": settings["training"] | {"participation": 0.5}}
    run = train(make_config(drawn), tmp_path / "run", in_process=True)
    assert run.metrics["clients"].tolist() == [3] * 4


def test_nothing_private_leaves_a_client(
    settings: dict, algorithm: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Images, labels and z, in every form, are searched for in every byte that the workers return."""
    sent = tapped_workers(monkeypatch)
    domains = [{"npz": str(write_canaries(tmp_path / f"{n}.npz", n)), "clients": 3} for n in range(2)]
    alone = KEYS[algorithm].get("pfl_gan", {}).get("local_rounds", 0)
    training = {"rounds": 1 + alone, "batch_size": 16}
    config = make_config(settings | {"data": {"domains": domains}, "training": training, "evaluation": {"images": 16}})
    train(config, tmp_path / "run", in_process=True)
    search = Search(b"".join(sent))
    assert len(search) > 100_000
    assert search.found(secrets_of(config, 2)) == []


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", SERVED, indirect=True, scope="module")
def test_a_server_that_dies_takes_the_run_back(
    small_ray: None, injector: FaultInjector, settings: dict, whole: Path, algorithm: str, tmp_path: Path
) -> None:
    """To the checkpoint of the round before: the run has the numbers of one in which nothing died."""
    injections = Injections(injector, {1: Injection("body", SERVED[algorithm])})
    run = train(make_config(settings), tmp_path / "run", listener=injections)
    assert run.ended
    assert injections.told("round 2 begins again")
    assert arrays_of_round(run.path, 4) == arrays_of_round(whole, 4)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["train", "check_in", "save"])
def test_a_worker_that_dies_is_replaced(
    small_ray: None, injector: FaultInjector, settings: dict, algorithm: str, tmp_path: Path, method: str
) -> None:
    name = "clients-03" if algorithm == "central" else "clients-01"
    injections = Injections(injector, {1: Injection("client", method, name=name)})
    run = train(make_config(settings), tmp_path / "run", listener=injections)
    assert run.ended
    clients = run.metrics["clients"].tolist()
    assert (clients[0], clients[2:]) == (6, [6, 6]), "it is back in the next round at the latest"
    assert injections.told(name, "was lost")
