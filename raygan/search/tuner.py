"""A search, run by Ray Tune: from its file to the trials' results, and on again after an interruption."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ray import tune
from ray.tune import Callback, PlacementGroupFactory, Tuner

from raygan.config.loading import cluster_address, from_home
from raygan.config.schema import Config
from raygan.errors import InputError, RunError
from raygan.runtime.ray.cluster import is_ours, ray_with
from raygan.runtime.ray.placing import chosen
from raygan.search.bundles import Bundle, Trial, check_fit, local_resources, placement, trial_demands
from raygan.search.checks import check_base, check_space
from raygan.search.scheduling import StopRules, make_loggers, make_scheduler, make_searcher, searched_space
from raygan.search.search import POINT, Search, read_search
from raygan.search.trial import SEARCH_FILE, run_trial, trial_folder
from raygan.storage import check_makeable

ENVIRONMENT = {
    "TUNE_GLOBAL_CHECKPOINT_S": "1",  # a killed search forgets no more than a second
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",  # a round that could not be scored has no score
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ray Tune would end as if the search were done
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
STATES = "experiment_state-*.json"
"""Where Ray Tune keeps its trials, in an experiment's folder."""
QUIET = ("ray.tune", "ray.train", "ray.air")
"""Loggers whose remarks would interrupt the progress display."""


@dataclass(frozen=True)
class Checked:
    """A search that can run."""

    search: Search
    configs: tuple[Config, ...]
    """What the trials may be, as far as it is known before; the cluster is the same for all."""
    trials: tuple[Trial, ...]
    """What the trials ask for, each kind once."""
    num_trials: int
    """Trials that will be started; a learning search's samples."""

    @property
    def needs(self) -> Bundle:
        """The most that a trial asks for in all, by resource."""
        sums = pd.DataFrame(pd.DataFrame([demand.bundle for demand in t]).sum() for t in self.trials)
        return {str(name): float(amount) for name, amount in sums.max().items()}


def check_search(search: Search) -> Checked:
    """Everything that can be found wrong before Ray starts.

    The cluster's address is written into the search: this process may have it from its environment, which the trials'
    processes do not share, and both must find the same actors.

    Raises:
        InputError: the first mistake.
    """
    address = cluster_address(check_base(search))
    if address is not None:
        search = search.on_cluster(address)
    configs = check_space(search)
    make_scheduler(search, list(configs.values()))
    make_searcher(search)
    make_loggers(search.config.callbacks)
    learns = search.config.searcher.learns
    num_trials = search.config.samples if learns else len(search.points())
    return Checked(search, tuple(configs.values()), _trials(search, configs), num_trials)


def _trials(search: Search, configs: Mapping[str, Config]) -> tuple[Trial, ...]:
    """What trials ask for, each kind once."""
    trials: list[Trial] = []
    for told, config in configs.items():
        try:
            trial = trial_demands(config, search.config.resources, search.config.in_process)
        except InputError as error:
            raise type(error)(f"space: {told}", f"{error.where}: {error.found}", error.remedy) from None
        if trial not in trials:
            trials.append(trial)
    return tuple(trials)


def run_search(
    checked: Checked, folder: Path, callbacks: Sequence[Callback] = (), warn: Callable[[str], None] = print
) -> tune.ResultGrid:
    """Runs every trial.

    Args:
        folder: a new folder for the search; it may be there, but empty.
        callbacks: told of trials and results; they are pickled with the search.
        warn: told of what does not stop the search.

    Raises:
        InputError: a folder that cannot be used, or a search that does not fit the cluster.
    """
    folder = folder.absolute()
    if folder.exists() and any(folder.iterdir()):
        raise RunError(str(folder), "this folder is not empty", "choose another --out")
    check_makeable(folder)
    with _ray(checked, folder, warn):
        folder.mkdir(parents=True, exist_ok=True)
        checked.search.save(folder / SEARCH_FILE)
        return _tuner(checked, folder, callbacks).fit()


def resume_search(folder: Path, address: str | None = None, warn: Callable[[str], None] = print) -> tune.ResultGrid:
    """Continues a search after anything: finished trials stay finished, the others go on after their last round.

    Args:
        address: another Ray cluster than the search was started on; None: as then.

    Raises:
        RunError: there is no search in the folder.
        InputError: as `run_search`.
    """
    folder = folder.absolute()
    check_searched(folder)
    overrides = [f"base.ray.address={address}"] if address else []
    checked = check_search(read_search(folder / SEARCH_FILE, overrides))
    with _ray(checked, folder, warn):
        checked.search.save(folder / SEARCH_FILE)  # with the address, for the trials
        if not list(folder.glob(STATES)):  # interrupted before its first trial
            return _tuner(checked, folder, ()).fit()
        return Tuner.restore(str(folder), _trainable(checked, folder), resume_errored=True).fit()


def check_searched(folder: Path) -> None:
    """Raises RunError: there is no search in the folder."""
    if not (folder / SEARCH_FILE).exists():
        found = f"no {SEARCH_FILE}, so this is not a search's folder"
        raise RunError(str(folder.absolute()), found, "give the folder of a search")


def stopped_grid(folder: Path) -> tune.ResultGrid | None:
    """The trials of a search that was stopped, as far as they came; None: none had begun."""
    if not list(folder.glob(STATES)):
        return None
    return tune.ResultGrid(tune.ExperimentAnalysis(str(folder.absolute())))


@contextmanager
def _ray(checked: Checked, folder: Path, warn: Callable[[str], None]) -> Iterator[None]:
    """Ray with what the trials ask for, and Ray Tune's settings, for the time of the search."""
    wanted = min(checked.search.config.concurrency, checked.num_trials)
    resources, ours = local_resources(checked.needs, wanted, checked.configs[0]), is_ours(checked.configs[0])
    with ExitStack() as until_exit:
        for name, value in ENVIRONMENT.items():
            until_exit.callback(_set_variable, name, os.environ.get(name))
            os.environ[name] = value
        for logger in map(logging.getLogger, QUIET):
            until_exit.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.CRITICAL)
        namespace = f"raygan-{folder.name}"
        until_exit.enter_context(ray_with(resources, checked.configs[0], namespace=namespace))
        trials = checked.trials
        if not (ours or checked.search.config.in_process):
            chosen(checked.configs[0], warn)  # once with its line
            trials = _trials(checked.search, {str(n): chosen(config) for n, config in enumerate(checked.configs)})
        fitting = check_fit(trials, wanted)
        if fitting < wanted:
            warn(f"only {fitting} of {wanted} trials fit at a time: the others wait")
        yield


def _set_variable(name: str, value: str | None) -> None:
    os.environ.pop(name, None)
    if value is not None:
        os.environ[name] = value


def _tuner(checked: Checked, folder: Path, callbacks: Sequence[Callback]) -> Tuner:
    search, config = checked.search, checked.search.config
    random.seed(config.seed)  # PBT draws from these two
    np.random.seed(config.seed)
    searcher = make_searcher(search)
    return Tuner(
        _trainable(checked, folder),
        param_space=searched_space(search) if searcher else {POINT: tune.grid_search(search.points())},
        tune_config=tune.TuneConfig(
            num_samples=1 if searcher is None else config.samples,
            search_alg=searcher,
            scheduler=make_scheduler(search, checked.configs),
            max_concurrent_trials=config.concurrency,
            time_budget_s=config.stop.seconds,
            trial_name_creator=_trial_name,
            trial_dirname_creator=_trial_name,
        ),
        run_config=tune.RunConfig(
            name=folder.name,
            storage_path=str(folder.parent),
            stop=StopRules(config),
            failure_config=tune.FailureConfig(max_failures=config.max_failures),
            callbacks=[*callbacks, *make_loggers(config.callbacks)],
            verbose=0,
        ),
    )


def _trainable(checked: Checked, folder: Path) -> Any:
    """What Ray Tune runs: made anew when a search is resumed, so that nothing that it keeps has the folder's path. All
    trials have one cache of classifiers, where this process sees it."""
    search, cache = checked.search, checked.configs[0].evaluation.cache
    classifiers = None if cache is None else str(from_home(cache))
    trial = partial(run_trial, folder=folder, classifiers=classifiers)
    resources, in_process = search.config.resources, search.config.in_process

    def bundles(given: dict[str, Any]) -> PlacementGroupFactory:
        return placement(chosen(search.config_of(given[POINT])), resources, in_process)

    return tune.with_resources(trial, bundles)


def _trial_name(trial: Any) -> str:
    return trial_folder(trial.trial_id)
