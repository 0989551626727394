"""Searches with Ray: trials side by side, stopped, killed, changed. One small Ray for all of them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from ray.tune import Callback

from raygan.api import train
from raygan.config.loading import read_config
from raygan.errors import InputError
from raygan.search.results import Results, collect, write_results
from raygan.search.search import Search
from raygan.search.tuner import check_search, resume_search, run_search
from tests.rounds import assert_same_training

pytestmark = pytest.mark.usefixtures("search_ray")


@pytest.fixture(scope="module")
def search_ray() -> Iterator[None]:
    """Room for two trials."""
    ray.init(
        "local",
        num_cpus=2,
        resources={"small": 4, "body": 2},
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
    )
    yield
    ray.shutdown()


@pytest.fixture
def run(searching: Callable[..., Search], tmp_path: Path) -> Callable[..., Results]:
    """Runs the small search with overrides and a callback."""

    def go(*overrides: str, callback: Callback | None = None) -> Results:
        search = searching(*overrides)
        callbacks = [] if callback is None else [callback]
        return collect(search, run_search(check_search(search), tmp_path / "search", callbacks))

    return go


def in_process_run(config_file: Path, folder: Path) -> Path:
    return train(read_config(config_file), folder, in_process=True).path


def ask_actors(prefix: str, question: Callable[[Any], Any]) -> list[Any]:
    """The answers of the trials' actors whose name begins with `prefix`; those that are being ended have none."""
    answers = []
    for actor in ray.util.list_named_actors(all_namespaces=True):
        if actor["namespace"].startswith("raygan-") and actor["name"].startswith(prefix):
            try:
                handle = ray.get_actor(actor["name"], actor["namespace"])
                answers.append(ray.get(handle.__ray_call__.remote(question), timeout=120))
            except (ValueError, ray.exceptions.RayActorError):
                continue
    return answers


def placement_group(actor: Any) -> str | None:
    """The placement group in which an actor lives."""
    group = ray.util.get_current_placement_group()
    return None if group is None else group.id.hex()


class Watch(Callback):
    """Notes, at every report, how many trials run, what the cluster has left, and where the actors live."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, dict[str, float], set[str | None]]] = []

    def on_trial_result(self, iteration, trials, trial, result, **info) -> None:
        running = sum(other.status == "RUNNING" for other in trials)
        groups = set(ask_actors("", placement_group)) if result["round"] == 2 else set()
        self.seen.append((running, ray.available_resources(), groups))


@pytest.mark.slow
def test_two_trials_side_by_side(run, tmp_path: Path) -> None:
    watch = Watch()
    results = run("concurrency=2", "space.training.lr={choice: [1.0e-3]}", callback=watch)
    assert [trial.metrics["round"] for trial in results.trials] == [3, 3]
    assert max(running for running, _, _ in watch.seen) == 2
    assert any(left.get("CPU", 0) == left.get("body", 0) == 0 for _, left, _ in watch.seen), "all is lent"
    groups = set().union(*(found for _, _, found in watch.seen))
    assert None not in groups, "every actor of a trial is in its placement group"
    assert len(groups) == 2
    for trial in results.trials:
        assert list((tmp_path / "search" / trial.name).glob("events.out.tfevents.*")), "TensorBoard"
    write_results(results, tmp_path / "search")
    best = results.best()
    assert best is not None
    assert best.run is not None
    again = in_process_run(tmp_path / "search" / "best.yaml", tmp_path / "again")
    assert_same_training(again, best.run)


@pytest.mark.slow
def test_a_trial_in_process_asks_for_its_driver_alone_and_has_the_same_numbers(run, tmp_path: Path) -> None:
    watch = Watch()
    results = run("in_process=true", "concurrency=2", "space={training.lr: {grid: [5.0e-4, 1.0e-3]}}", callback=watch)
    assert [trial.metrics["round"] for trial in results.trials] == [3, 3]
    assert all(left["body"] == 2 and left["small"] == 4 for _, left, _ in watch.seen), "no actors"
    first = results.trials[0].run
    assert first is not None
    assert_same_training(in_process_run(first / "config.yaml", tmp_path / "again"), first)


class Kill(Callback):
    """Kills a trial's process once, after its first round."""

    def __init__(self) -> None:
        self.killed: str | None = None
        self.rounds: list[int] = []

    def on_trial_result(self, iteration, trials, trial, result, **info) -> None:
        self.rounds.append(result["round"])
        if self.killed is None:
            self.killed = trial.trial_id
            os.kill(result["pid"], signal.SIGKILL)


@pytest.mark.slow
def test_a_trial_whose_process_dies_goes_on_after_its_last_round(run, tmp_path: Path) -> None:
    kill = Kill()
    results = run("space={training.lr: {choice: [1.0e-3]}}", callback=kill)
    (trial,) = results.trials
    assert kill.rounds in ([1, 2, 3], [1, 1, 2, 3]), "a round may be told again, where its checkpoint was not kept"
    assert trial.run is not None
    assert trial.run.name == "run-1"
    assert_same_training(in_process_run(trial.run / "config.yaml", tmp_path / "in_process"), trial.run)


@pytest.mark.slow
def test_asha_stops_a_bad_trial_early(run) -> None:
    results = run(
        "space={training.lr: {grid: [1.0e-3, 1.0e-9]}}",
        "scheduler={name: asha, grace_period: 1, reduction_factor: 2}",
    )
    rounds = {trial.point["training.lr"]: trial.metrics["round"] for trial in results.trials}
    assert rounds == {1e-3: 3, 1e-9: 1}
    best = results.best()
    assert best is not None
    assert best.point["training.lr"] == 1e-3


class ReadRates(Callback):
    """Reads the learning rates in use inside the client actors while the reporting trial waits."""

    def __init__(self) -> None:
        self.seen: list[tuple[float, set[float]]] = []

    def on_trial_result(self, iteration, trials, trial, result, **info) -> None:
        if trial.status == "RUNNING":  # not of one whose actors PBT is ending
            rates = {rate for rates in ask_actors("client", learning_rates) for rate in rates}
            self.seen.append((result["config"]["set"]["training.lr"], rates))


def learning_rates(actor: Any) -> list[float]:
    """Of every optimizer of an actor's clients."""
    return [
        group["lr"]
        for client in actor._party._clients.values()
        for ends in (client.generator, client.discriminator)
        for group in ends.optimizer.param_groups
    ]


@pytest.mark.slow
def test_pbt_changes_the_learning_rate_in_use(run) -> None:
    read = ReadRates()
    results = run(
        "space={training.lr: {grid: [1.0e-3, 1.0e-9]}}",
        "concurrency=2",
        "scheduler={name: pbt, perturbation_interval: 2, quantile_fraction: 0.5, resample_probability: 0.0, "
        "synch: true, "
        "perturbation_factors: [2.0, 2.0], hyperparam_mutations: {training.lr: {uniform: [1.0e-9, 1.0]}}}",
        callback=read,
    )
    for configured, in_use in read.seen:
        assert configured in in_use, "the reporting trial's actors use its configuration's rate"
    changed = {rate for rate, _ in read.seen} - {1e-3, 1e-9}
    assert changed == {2e-3}, "the worse trial goes on at twice the rate of the better one"
    assert [trial.run.name for trial in results.trials if trial.run is not None] == ["run-1", "run-2"]
    assert [trial.metrics["round"] for trial in results.trials] == [3, 3]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (
            ["resources.cpus_per_trial=3"],
            "resources: one actor needs 3 'CPU' on one node, the largest has 2; lower cpus",
        ),
        (
            ["base.data.domains.0.clients=4", "base.data.domains.0.limit=64"],
            r"profile 'small': needs 5 'small', the cluster has 4.*; add nodes that",
        ),
    ],
    ids=["driver", "actor"],
)
def test_a_search_that_does_not_fit_says_so_at_once(run, tmp_path: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        run(*overrides)
    assert not (tmp_path / "search").exists()


@pytest.mark.slow
def test_trials_have_the_actors_that_were_planned_for_them(run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that only the driver's environment names, as of a submitted job: one client an actor."""
    monkeypatch.setenv("RAY_ADDRESS", ray.get_runtime_context().gcs_address)
    watch = Watch()
    clients = [f"base.data.domains.{domain}.clients=2" for domain in range(2)]
    results = run(
        *clients, "base.ray.clients_per_actor=auto", "space={training.lr: {choice: [1.0e-3]}}", callback=watch
    )
    assert [trial.metrics["round"] for trial in results.trials] == [3]
    assert any(left.get("small", 0) == 0 for _, left, _ in watch.seen)


class KillOnce(Callback):
    """Kills the process of the first trial once its first round is kept; not again after its search was resumed."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def on_checkpoint(self, iteration, trials, trial, checkpoint, **info) -> None:
        if not self._marker.exists():
            self._marker.touch()
            os.kill(trial.last_result["pid"], signal.SIGKILL)


@pytest.mark.slow
def test_a_search_that_was_moved_goes_on(run, searching, tmp_path: Path) -> None:
    results = run("space={training.lr: {grid: [1.0e-3, 1.0e-4]}}", "max_failures=0",
                  callback=KillOnce(tmp_path / "killed"))  # fmt: skip
    assert [trial.error is None for trial in results.trials].count(False) == 1
    moved = (tmp_path / "search").rename(tmp_path / "moved")
    results = collect(searching(), resume_search(moved))
    assert [trial.metrics["round"] for trial in results.trials] == [3, 3]
    assert [trial.run for trial in results.trials] == [moved / trial.name / "run-1" for trial in results.trials]
    assert not (tmp_path / "search").exists()


@pytest.mark.slow
def test_trials_that_do_not_fit_side_by_side_wait(run, capsys: pytest.CaptureFixture[str]) -> None:
    run("concurrency=2", "resources.cpus_per_trial=2", "base.training.rounds=1")
    assert "only 1 of 2 trials fit at a time: the others wait" in capsys.readouterr().out
