"""What a trial that starts goes on with, and what it reports."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from raygan.api import Run, resume, train
from raygan.config.loading import make_config
from raygan.run.events import Listener
from raygan.search import trial
from raygan.search.reported import bytes_per_client, of_fleet, reported
from raygan.search.search import read_search
from raygan.search.trial import Reference, Reporter, prepare, with_cache


@pytest.fixture(scope="module")
def config(two_clients: dict):
    return make_config(two_clients)


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[dict]:
    """What Ray Tune is told: each report with the round that its checkpoint names."""
    told: list[dict] = []

    def report(metrics: dict, checkpoint) -> None:
        named = json.loads((Path(checkpoint.path) / trial.REFERENCE_FILE).read_text())
        told.append({**metrics, "checkpoint": named})

    monkeypatch.setattr(trial.tune, "report", report)
    return told


class Interrupt(Listener):
    """Ends the driver in the middle of the third round."""

    def on_step(self, round_number, step, losses, num_images) -> None:
        if round_number == 2:
            raise KeyboardInterrupt


def interrupted(config, path: Path) -> Path:
    with pytest.raises(KeyboardInterrupt):
        train(config, path, in_process=True, listener=Interrupt())
    return path


def test_a_trial_begins_with_a_new_run(config, tmp_path: Path) -> None:
    assert prepare(tmp_path, config, None) == (tmp_path / "run-1", True)


def test_a_trial_goes_on_with_its_own_run(config, tmp_path: Path) -> None:
    run = interrupted(config, tmp_path / "run-1")
    assert prepare(tmp_path, config, None) == (run, False), "Ray Tune knew of no round yet"
    assert prepare(tmp_path, config, Reference(f"{tmp_path.name}/run-1", 1)) == (run, False)


def test_a_trial_goes_on_with_its_own_run_on_another_cluster(config, tmp_path: Path) -> None:
    run = interrupted(config, tmp_path / "run-1")
    ray = config.ray.model_copy(update={"address": "10.0.0.1:6379"})
    assert prepare(tmp_path, config.model_copy(update={"ray": ray}), None) == (run, False)


def test_a_trial_goes_on_with_its_own_run_where_classifiers_are_kept_elsewhere(config, tmp_path: Path) -> None:
    run = interrupted(config, tmp_path / "run-1")
    assert prepare(tmp_path, with_cache(config, str(tmp_path / "cache")), None) == (run, False)
    assert prepare(tmp_path, with_cache(config, None), None) == (run, False)


def test_a_trial_keeps_classifiers_where_its_search_says(
    search_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []
    monkeypatch.setattr(trial, "train", lambda config, run, in_process, listener: trained.append(config))
    monkeypatch.setattr(trial, "Reporter", lambda run, told: SimpleNamespace(catch_up=lambda: None))
    context = SimpleNamespace(get_trial_id=lambda: "a")
    monkeypatch.setattr(trial.tune, "get_context", lambda: context)
    monkeypatch.setattr(trial.tune, "get_checkpoint", lambda: None)
    search = read_search(search_file)
    search.save(tmp_path / trial.SEARCH_FILE)
    point = search.points()[0]
    for cache in ("/shared/classifiers", None):
        trial.run_trial({"set": point}, tmp_path, cache)
    assert [config.evaluation.cache for config in trained] == ["/shared/classifiers", None]


def test_a_trial_goes_on_where_its_search_was_moved_to(config, tmp_path: Path) -> None:
    interrupted(config, tmp_path / "search" / "trial-a" / "run-1")
    home = (tmp_path / "search").rename(tmp_path / "moved") / "trial-a"
    assert prepare(home, config, Reference("trial-a/run-1", 1)) == (home / "run-1", False)


def test_a_trial_of_another_configuration_does_not_go_on_with_it(config, tmp_path: Path) -> None:
    interrupted(config, tmp_path / "run-1")
    other = config.model_copy(update={"seed": 5})
    assert prepare(tmp_path, other, None) == (tmp_path / "run-2", True)


def test_a_trial_forks_another_ones_run_once(config, tmp_path: Path) -> None:
    interrupted(config, tmp_path / "donor" / "run-1")
    home, known = tmp_path / "trial", Reference("donor/run-1", 1)
    training = config.training.model_copy(update={"lr": 1e-3})
    changed = config.model_copy(update={"training": training})
    run, is_new = prepare(home, changed, known)
    assert (run, is_new) == (home / "run-1", False)
    assert Run.load(run).config.training.lr == 1e-3
    assert Run.load(run).metrics["round"].tolist() == [1]
    assert prepare(home, changed, known) == (run, False), "after an interruption it goes on"
    assert prepare(home, changed, Reference("donor/run-1", 2)) == (home / "run-2", False), "another exploit"


def test_every_round_is_reported_once_with_its_checkpoint(config, tmp_path: Path, reports: list[dict]) -> None:
    run = tmp_path / "run-1"
    train(config, run, in_process=True, listener=Reporter(run, 0))
    assert [entry["round"] for entry in reports] == [1, 2, 3]
    assert [entry["checkpoint"] for entry in reports] == [
        {"run": f"{tmp_path.name}/run-1", "round": n} for n in (1, 2, 3)
    ], "as seen from the search's folder"
    moved = [entry["bytes_per_round"] for entry in reports]
    assert [entry["bytes_total"] for entry in reports] == [moved[0], sum(moved[:2]), sum(moved)]
    cuts = json.loads((run / "cuts.json").read_text())
    assert {entry["latency_s"] for entry in reports} == {cuts["latency_s"]}


def test_a_trial_that_goes_on_reports_what_ray_tune_has_not_seen(config, tmp_path: Path, reports: list[dict]) -> None:
    run = interrupted(config, tmp_path / "run-1")
    resume(run, in_process=True, listener=Reporter(run, 1))
    assert [entry["round"] for entry in reports] == [2, 3]
    assert reports[-1]["bytes_total"] == 3 * reports[-1]["bytes_per_round"]


def test_a_run_that_had_ended_is_reported_too(config, tmp_path: Path, reports: list[dict]) -> None:
    run = train(config, tmp_path / "run-1", in_process=True).path
    reporter = Reporter(run, 2)
    resume(run, in_process=True, listener=reporter)
    reporter.catch_up()
    assert [entry["round"] for entry in reports] == [3]


def test_a_report_has_means_over_the_domains() -> None:
    score = {
        "label_agreement": 0.5,
        "generation_score": 2.0,
        "classifier_fid": None,
        "usefulness": {"accuracy": 0.8},
    }
    scores = {"a": score, "b": score | {"label_agreement": 1.0, "usefulness": None}}
    line = {
        "round": 2, "bytes_up": 10, "bytes_down": 20, "seconds": 1.0, "clusters": 2, "cluster_agreement": 1.0,
        "discriminator_loss": None, "generator_loss": 0.5, "scores": scores,
    }  # fmt: skip
    report = reported(line, {"cuts": {"latency_s": 3.0, "overlapped_s": 2.0}}, bytes_before=100)
    assert report["label_agreement"] == 0.75
    assert report["label_agreement/b"] == 1.0
    assert (report["bytes_per_round"], report["bytes_total"]) == (30, 130)
    assert (report["latency_s"], report["overlapped_s"]) == (3.0, 2.0)
    assert not {"discriminator_loss", "classifier_fid", "usefulness_accuracy"} & set(report), "what nobody knows"
    assert report["usefulness_accuracy/a"] == 0.8


def test_a_report_predicts_a_round_on_the_fleet() -> None:
    """Ten iterations of 0.5 s; two clients sent 80 bytes in all over a link of 4 a second, and got 160 over one of 8."""
    links = {
        "client -> server": {"Feedback": {"records": 1, "bytes": 1000}},
        "client -> aggregator": {"State": {"records": 2, "bytes": 60}},
        "client -> client": {"State": {"records": 2, "bytes": 20}},
        "aggregator -> client": {"BlockAverage": {"records": 2, "bytes": 140}},
        "aggregator -> evaluator": {"BlockAverage": {"records": 1, "bytes": 5000}},
    }
    costs = {"iteration_s": 0.5, "memory_bytes": {"a": 1.0, "b": 7.0}, "up_bytes_per_s": 4.0, "down_bytes_per_s": 8.0}
    line = {"clients": 2, "steps": 10, "links": links}
    assert of_fleet(line, costs) == {"iteration_s": 0.5, "memory_bytes": 7.0, "round_s": 5 + 80 / 2 / 4 + 160 / 2 / 8}
    assert bytes_per_client(line) == (1000 + 60 + 2 * 20 + 140) / 2
    assert bytes_per_client({"clients": 2}) is None
