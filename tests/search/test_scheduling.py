"""Schedulers, searchers and loggers: what Ray would drop silently is refused."""

from __future__ import annotations

import inspect
from typing import get_args

import pytest
from ray.tune.schedulers import (
    SCHEDULER_IMPORT,
    ASHAScheduler,
    FIFOScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    ResourceChangingScheduler,
)
from ray.tune.search import SEARCH_ALG_IMPORT

from raygan.errors import ConfigError
from raygan.search import scheduling
from raygan.search.scheduling import (
    SCHEDULERS,
    SEARCHERS,
    StopRules,
    make_loggers,
    make_scheduler,
    make_searcher,
    searched_space,
)
from raygan.search.schema import SchedulerConfig, SearcherConfig

PBT = "scheduler={name: pbt, hyperparam_mutations: {training.lr: {uniform: [1.0e-4, 1.0e-2]}}}"


def scheduler(search):
    return make_scheduler(search, [search.config_of(point) for point in search.points()])


def test_no_scheduler(searching) -> None:
    assert scheduler(searching()) is None


@pytest.mark.parametrize(
    ("override", "kind"),
    [
        ("scheduler={name: asha, grace_period: 2, reduction_factor: 3, brackets: 1}", ASHAScheduler),
        ("scheduler={name: median, grace_period: 2, min_samples_required: 2}", MedianStoppingRule),
        (PBT, PopulationBasedTraining),
    ],
)
def test_a_scheduler_counts_rounds_of_the_first_metric(searching, override: str, kind: type) -> None:
    made = scheduler(searching(override))
    assert isinstance(made, kind)
    assert (made._time_attr, made.metric) == ("training_iteration", "discriminator_loss")
    assert made._metric_op == -1 if kind is not MedianStoppingRule else made._worst == float("inf")


def test_asha_ends_with_the_runs_rounds(searching) -> None:
    assert scheduler(searching("scheduler=asha", "base.training.rounds=5"))._max_t == 5


def test_asha_ends_with_the_longest_run(searching) -> None:
    assert scheduler(searching("scheduler=asha", "space.training.rounds={grid: [2, 6]}"))._max_t == 6


MUTATE = "scheduler={name: pbt, hyperparam_mutations: {%s}}"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("scheduler=bandit", "scheduler.name: 'bandit' does not fit; give 'asha', 'hyperband',"),
        (
            "scheduler={name: asha, grace_periode: 2}",
            "scheduler.grace_periode: asha has no such argument; did you mean 'grace_period'?",
        ),
        (
            "scheduler={name: asha, grace_period: 20}",
            "asha refuses its arguments (grace_period must be <= max_t!)",
        ),
        ("scheduler={name: asha, metric: x}", "scheduler.metric: follows from the search; leave it out"),
        ("scheduler={name: median, brackets: 2}", "scheduler.brackets: median has no such argument"),
        ("scheduler=pbt", "give keys and their spaces"),
        (MUTATE % "model.width: {uniform: [1, 2]}", "model.width: cannot change between two rounds"),
        (MUTATE % "clusters.beta: {uniform: [1, 2]}", "clusters.beta: is not in the space"),
        (MUTATE % "training.lr: {uniform: [2, 1]}", "training.lr: uniform: 2 is not below 1"),
        (PBT.replace("name: pbt", "name: pbt, quantile_fraction: 2"), "pbt refuses its arguments"),
    ],
)
def test_a_mistake_is_one_line(searching, override: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        scheduler(searching(override))
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_pbt_goes_without_several_seeds(searching) -> None:
    with pytest.raises(ConfigError, match="seeds: several with pbt"):
        scheduler(searching(PBT, "seeds=[0, 1]"))


def test_pbt_needs_every_checkpoint(searching) -> None:
    with pytest.raises(ConfigError, match=r"base.checkpoints: keep 3, every 1; set keep: null"):
        scheduler(searching(PBT, "base.checkpoints.keep=3"))


def test_pbt_needs_every_checkpoint_of_every_trial(searching) -> None:
    with pytest.raises(ConfigError, match=r"base.checkpoints: keep None, every 2; set keep: null and every: 1"):
        scheduler(searching(PBT, "space.checkpoints.every={grid: [1, 2]}"))


def test_pbt_stays_within_its_space(searching) -> None:
    clip = scheduler(searching(PBT))._custom_explore_fn
    assert clip({"set": {"training.lr": 0.5, "seed": 0}}) == {"set": {"training.lr": 1e-2, "seed": 0}}
    assert clip({"set": {"training.lr": 1e-3}}) == {"set": {"training.lr": 1e-3}}


def test_optuna_takes_several_objectives(searching) -> None:
    search = searching(
        "searcher={name: optuna, sampler: nsga2}",
        "space.clusters.count={choice: [1, 2]}",
        "metric=[label_agreement, latency_s]",
        "mode=[max, min]",
    )
    searcher = make_searcher(search)
    assert searcher.metric == ["label_agreement", "latency_s"]
    first = searcher.suggest("a")
    searcher.suggest("b")
    assert set(first["set"]) == {"clusters.count", "training.lr", "seed"}
    searcher.on_trial_complete("a", {"label_agreement": 0.5, "latency_s": 2.0})
    searcher.on_trial_complete("b", {"label_agreement": 0.4, "latency_s": 1.0})
    assert len(searcher._ot_study.best_trials) == 2, "neither beats the other"


def test_a_logger_that_is_not_installed(searching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"callbacks.mlflow: mlflow is not installed; pip install mlflow"):
        make_loggers(searching("callbacks=[mlflow]").config.callbacks)


def test_a_loggers_arguments_are_checked(searching, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduling, "find_spec", lambda name: object())
    with pytest.raises(ConfigError, match=r"callbacks.mlflow.experiment: .* did you mean 'experiment_name'\?"):
        make_loggers(searching("callbacks={mlflow: {experiment: x}}").config.callbacks)


def stopped(search, *scores: float, seconds: float = 1.0) -> int | None:
    """The round (from 1) in which the rules end a trial with these scores."""
    rules = StopRules(search.config)
    for number, score in enumerate(scores, 1):
        if rules("trial", {"discriminator_loss": score, "time_total_s": number * seconds}):
            return number
    return None


def test_a_trial_ends_when_its_score_is_as_wanted(searching) -> None:
    assert stopped(searching("stop.score=0.5"), 0.9, 0.6, 0.5, 0.4) == 3
    assert stopped(searching("stop.score=0.5", "mode=max"), 0.1, 0.6) == 2
    assert stopped(searching(), 0.9, 0.0) is None


def test_a_trial_ends_when_it_no_longer_changes(searching) -> None:
    search = searching("stop={plateau_rounds: 3, plateau_std: 0.05}")
    assert stopped(search, 0.9, 0.5, 0.51, 0.5, 0.9) == 4
    assert stopped(search, 0.9, 0.5, 0.9, 0.5, 0.9) is None


def test_a_trial_ends_after_its_time(searching) -> None:
    assert stopped(searching("stop.trial_seconds=20"), 0.9, 0.9, 0.9, seconds=10) == 2


HYPERBAND = "scheduler={name: hyperband, reduction_factor: 2}"
PB2 = "scheduler={name: pb2, quantile_fraction: 0.5, hyperparam_bounds: {training.lr: [1.0e-4, 1.0e-2]}}"


def test_hyperband_and_pb2_have_their_own_classes(searching) -> None:
    hyperband = scheduler(searching(HYPERBAND, "base.training.rounds=4"))
    assert (hyperband._max_t_attr, hyperband._eta, hyperband._time_attr) == (4, 2, "training_iteration")
    pb2 = scheduler(searching(PB2))
    assert pb2._hyperparam_bounds == {"set": {"training.lr": [1e-4, 1e-2]}}
    assert pb2._quantile_fraction == 0.5


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["scheduler={name: hyperband, brackets: 2}"], "scheduler.brackets: hyperband has no such argument"),
        (["scheduler={name: pb2, hyperparam_bounds: {training.lr: [2, 1]}}"], "training.lr: uniform: 2 is not below 1"),
        (["scheduler={name: pb2}"], "hyperparam_bounds None; give keys and their spaces, such as training.lr: [low"),
        (["scheduler={name: pbt_replay, policy: x}"], "did you mean 'policy_file'?"),
    ],
)
def test_a_mistake_of_any_scheduler_is_one_line(searching, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        scheduler(searching(*overrides))
    assert message in str(refused.value)


LEARNABLE = "space={training.lr: {loguniform: [1.0e-4, 1.0e-2]}, clusters.count: {choice: [1, 2]}}"


@pytest.mark.parametrize(
    ("searcher", "message"),
    [
        ("{name: hyperopt, gama: 0.5}", "searcher.gama: hyperopt has no such argument; did you mean 'gamma'?"),
        ("{name: hyperopt, space: {}}", "searcher.space: follows from the search; leave it out"),
        ("{name: optuna, study: x}", "searcher.study: optuna has no such argument; did you mean 'study_name'?"),
        ("{name: hyperopt, gamma: 0.5}", "searcher.name: hyperopt is not installed; pip install hyperopt"),
        ("ax", "searcher.name: ax is not installed; pip install ax-platform"),
        ("nevergrad", "searcher.name: nevergrad is not installed; pip install nevergrad"),
        ("{name: zoopt, budget: 9}", "searcher.name: zoopt is not installed; pip install zoopt"),
        ("hebo", "searcher.name: hebo is not installed; pip install HEBO"),
    ],
)
def test_a_searchers_arguments_are_those_of_its_class(
    searching, monkeypatch: pytest.MonkeyPatch, searcher: str, message: str
) -> None:
    monkeypatch.setattr(scheduling, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as refused:
        make_searcher(searching(LEARNABLE, f"searcher={searcher}"))
    assert message in str(refused.value)


def test_searchers_of_tune_are_given_the_space(searching) -> None:
    space = searched_space(searching(LEARNABLE, "searcher=hyperopt", "seeds=[7]"))["set"]
    assert space.keys() == {"training.lr", "clusters.count", "seed"}
    assert space["clusters.count"].categories == [1, 2]
    assert (space["training.lr"].lower, space["training.lr"].upper, space["seed"]) == (1e-4, 1e-2, 7)


def test_optuna_takes_its_classes_arguments(searching) -> None:
    made = make_searcher(searching(LEARNABLE, "searcher={name: optuna, study_name: mine}"))
    assert made._study_name == "mine"


def test_all_searchers_and_schedulers_of_tunes_have_names() -> None:
    """But the one that lets every trial end, and the one that changes what trials reserve: their actors are planned."""
    kinds = {kind() if inspect.isfunction(kind) else kind for kind in SCHEDULER_IMPORT.values()}
    assert kinds - set(SCHEDULERS.values()) == {FIFOScheduler, ResourceChangingScheduler}
    assert set(SEARCH_ALG_IMPORT) - set(SEARCHERS) == {"variant_generator", "random"}
    assert set(get_args(SchedulerConfig.model_fields["name"].annotation)) == set(SCHEDULERS)
    assert set(get_args(SearcherConfig.model_fields["name"].annotation)) == {*SEARCHERS, "random", "grid"}
