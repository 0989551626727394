"""The trainable in a `tune.Tuner` of one's own: spaces, schedulers, checkpoints, restored experiments."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler, HyperBandScheduler, PopulationBasedTraining
from ray.tune.search.optuna import OptunaSearch

import raygan
from raygan.config.choices import ALGORITHMS
from raygan.config.loading import make_config
from raygan.config.schema import LearningRates
from raygan.errors import ConfigError
from raygan.search.trainables import _config
from tests.rounds import assert_same_training

METRIC = {"metric": "discriminator_loss", "mode": "min"}


def start_ray() -> None:
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")


@pytest.fixture(scope="module")
def plain_ray() -> Iterator[None]:
    """A Ray that knows nothing of devices."""
    start_ray()
    yield
    ray.shutdown()


def tuner(settings: dict, folder: Path, space: dict, in_process: bool = True, **options: object) -> tune.Tuner:
    return tune.Tuner(
        raygan.search.trainable(settings, in_process=in_process),
        param_space=space,
        tune_config=tune.TuneConfig(**METRIC, **options),
        run_config=tune.RunConfig(name="mine", storage_path=str(folder), verbose=0),
    )


def rounds(grid: tune.ResultGrid) -> list[int]:
    assert [str(error) for error in grid.errors] == []
    return [result.metrics["round"] for result in grid]


def test_a_wrong_base_or_space_is_told_before_any_trial(two_clients: dict) -> None:
    with pytest.raises(ConfigError, match=r"training.lrr: unknown key; did you mean 'lr'"):
        raygan.search.trainable({"training": {"lrr": 1}})
    with pytest.raises(ConfigError, match=r"checkpoints.storage: .* only one run can be kept"):
        raygan.search.trainable(two_clients | {"checkpoints": {"storage": "file:///x"}})


def test_a_nested_space_replaces_a_number_of_the_base(two_clients: dict) -> None:
    space = {"training": {"lr": {"generator": np.float64(1e-3), "discriminator": 2e-3}}, "clusters.count": np.int64(2)}
    config = _config(make_config(two_clients).model_dump(mode="json"), Path.cwd(), False, space)
    assert config.training.lr == LearningRates(generator=1e-3, discriminator=2e-3)
    assert (config.training.rounds, config.clusters.count) == (3, 2)


@pytest.mark.slow
@pytest.mark.usefixtures("plain_ray")
def test_asha_over_actors_on_a_ray_without_devices(two_clients: dict, tmp_path: Path) -> None:
    space = {"training.lr": tune.grid_search([1e-3, 1e-9]), "clusters": {"count": tune.choice([1, 2])}}
    scheduler = ASHAScheduler(max_t=3, grace_period=1, reduction_factor=2)
    grid = tuner(two_clients, tmp_path, space, in_process=False, scheduler=scheduler, max_concurrent_trials=1).fit()
    assert rounds(grid) == [3, 1]
    best = grid.get_best_result()
    assert best.config["training.lr"] == 1e-3
    assert best.checkpoint is not None
    run = raygan.Run.load(best.checkpoint.path)
    assert run.kept_round(None) == 3
    assert run.generators()[0].sample([0]).shape == (1, 1, 12, 12)
    alone = raygan.train(run.config, tmp_path / "alone", in_process=True)
    assert_same_training(alone.path, Path(best.path) / "run-1")


@pytest.mark.slow
@pytest.mark.usefixtures("plain_ray")
def test_pbt_goes_on_from_the_other_trials_checkpoint(two_clients: dict, tmp_path: Path) -> None:
    scheduler = PopulationBasedTraining(
        time_attr="training_iteration", perturbation_interval=2, synch=True,
        quantile_fraction=0.5, resample_probability=0.0,
        perturbation_factors=(2.0, 2.0), hyperparam_mutations={"training.lr": tune.uniform(1e-9, 1.0)},
    )  # fmt: skip
    grid = tuner(two_clients, tmp_path, {"training.lr": tune.grid_search([1e-3, 1e-9])}, scheduler=scheduler).fit()
    assert rounds(grid) == [3, 3]
    assert sorted(result.config["training.lr"] for result in grid) == [1e-3, 2e-3]
    changed = next(result for result in grid if result.config["training.lr"] == 2e-3)
    run = raygan.Run.load(Path(changed.path) / "run-2")
    assert run.metrics["round"].tolist() == [1, 2, 3]
    assert run.config.training.lr == 2e-3


@pytest.mark.slow
@pytest.mark.usefixtures("plain_ray")
@pytest.mark.parametrize(
    "options",
    [{"search_alg": OptunaSearch(seed=0)}, {"scheduler": HyperBandScheduler(max_t=3)}],
    ids=["optuna", "hyperband"],
)
def test_searchers_and_schedulers_of_tunes_own(two_clients: dict, tmp_path: Path, options: dict) -> None:
    grid = tuner(two_clients, tmp_path, {"training.lr": tune.loguniform(1e-4, 1e-2)}, num_samples=3, **options).fit()
    assert len(grid) == 3
    assert max(rounds(grid)) == 3
    assert len({result.config["training.lr"] for result in grid}) == 3


@pytest.mark.slow
@pytest.mark.usefixtures("plain_ray")
def test_every_algorithm_is_a_trial(two_clients: dict, tmp_path: Path) -> None:
    space = {"algorithm": tune.grid_search(list(ALGORITHMS)), "training.rounds": 2}
    grid = tuner({k: v for k, v in two_clients.items() if k != "cuts"}, tmp_path, space).fit()
    assert rounds(grid) == [2] * len(ALGORITHMS)
    assert {result.config["algorithm"] for result in grid} == set(ALGORITHMS)
    assert all(result.metrics["label_agreement"] is not None for result in grid)


class Stop(tune.Callback):
    """Ends the experiment as Ctrl-C does, once."""

    def __init__(self, marker: Path) -> None:
        self._marker = marker

    def on_checkpoint(self, iteration, trials, trial, checkpoint, **info) -> None:
        if not self._marker.exists():
            self._marker.touch()
            raise KeyboardInterrupt


@pytest.mark.slow
@pytest.mark.usefixtures("plain_ray")
def test_a_restored_experiment_goes_on_with_the_numbers_of_one_that_was_not_stopped(
    two_clients: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNE_GLOBAL_CHECKPOINT_S", "0")
    first = tuner(two_clients, tmp_path, {"training.lr": tune.grid_search([1e-3])})
    first._local_tuner._run_config.callbacks = [Stop(tmp_path / "stopped")]
    with pytest.raises(KeyboardInterrupt):
        first.fit()
    ray.shutdown()  # as if the driver had gone, and with it the trial
    start_ray()
    trainable = raygan.search.trainable(two_clients, in_process=True)
    grid = tune.Tuner.restore(str(tmp_path / "mine"), trainable, restart_errored=True).fit()
    assert rounds(grid) == [3]
    run = Path(grid[0].path) / "run-1"
    assert_same_training(raygan.train(raygan.Run.load(run).config, tmp_path / "alone", in_process=True).path, run)


def test_a_run_is_a_result_of_rays(two_clients: dict, tmp_path: Path) -> None:
    settings = two_clients | {"training": {"rounds": 2, "batch_size": 8}}
    run = raygan.train(raygan.Config.model_validate(settings), tmp_path / "run", in_process=True)
    result = raygan.search.result_of(run.path)
    assert (result.error, result.path, result.metrics["round"]) == (None, str(run.path), 2)
    assert result.metrics_dataframe["round"].tolist() == [1, 2]
    assert result.metrics["bytes_total"] == result.metrics_dataframe["bytes_per_round"].sum()
    assert result.config["training"]["rounds"] == 2
    assert raygan.Run.load(result.checkpoint.path).rounds == [1, 2]
