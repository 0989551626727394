"""Ray Tune's schedulers, searchers, stop rules and loggers, with every argument checked: Ray itself drops unknown ones
silently."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from ray import tune
from ray.tune import Callback, Stopper
from ray.tune.schedulers import (
    ASHAScheduler,
    HyperBandForBOHB,
    HyperBandScheduler,
    MedianStoppingRule,
    PopulationBasedTraining,
    PopulationBasedTrainingReplay,
    TrialScheduler,
)
from ray.tune.schedulers.pb2 import PB2
from ray.tune.search import SEARCH_ALG_IMPORT
from ray.tune.stopper import NoopStopper, TrialPlateauStopper

from raygan.config.schema import Config
from raygan.errors import ConfigError, instead_of
from raygan.search.domain import Domain, parse_domain
from raygan.search.schema import CHANGING, SearchConfig
from raygan.search.search import POINT, Search

LOGGERS = {"mlflow": "MLflowLoggerCallback", "wandb": "WandbLoggerCallback"}
SCHEDULERS: dict[str, Any] = {
    "asha": ASHAScheduler,
    "hyperband": HyperBandScheduler,
    "hb_bohb": HyperBandForBOHB,
    "median": MedianStoppingRule,
    "pbt": PopulationBasedTraining,
    "pb2": PB2,
    "pbt_replay": PopulationBasedTrainingReplay,
}
SEARCHERS = {
    "ax": ("ax", "ax-platform"),
    "bayesopt": ("bayes_opt", "bayesian-optimization"),
    "bohb": ("hpbandster", "hpbandster ConfigSpace"),
    "hebo": ("hebo", "HEBO"),
    "hyperopt": ("hyperopt", "hyperopt"),
    "nevergrad": ("nevergrad", "nevergrad"),
    "optuna": ("optuna", "'raygan[optuna]'"),
    "zoopt": ("zoopt", "zoopt"),
}
"""Searchers that learn: the module that one needs, and the package that has it. Ray Tune names them so."""
SEEDS = ("seed", "random_state_seed", "random_state")
"""What searchers call the seed of their draws."""
OURS = (
    *("time_attr", "metric", "mode", "custom_explore_fn", "require_attrs"),
    *("space", "points_to_evaluate", "evaluated_rewards", "dim_dict", "ax_client", "analysis", *SEEDS),
)
"""Arguments that follow from the search."""
SPACES = {"pbt": "hyperparam_mutations", "pb2": "hyperparam_bounds"}
"""Arguments that say what keys may become."""
ROUNDS = "training_iteration"
"""Ray Tune's count of reports: rounds."""
CHANGEABLE = (
    "training.lr",
    "training.local_epochs",
    "clusters.count",
    "clusters.beta",
    "clusters.feature_batches",
)
"""Keys that may change between two rounds: nothing in a checkpoint has its shape from them."""


def make_scheduler(search: Search, configs: Sequence[Config]) -> TrialScheduler | None:
    """The scheduler that the search names; None: every trial runs to its end.

    Args:
        configs: what the trials may be.

    Raises:
        ConfigError: an argument that the scheduler does not have, or refuses.
    """
    config = search.config.scheduler
    if config is None:
        return None
    kind = SCHEDULERS[config.name]
    arguments = {**_defaults(config.name, configs), **config.arguments}
    _check_names(kind, config.name, config.arguments, "scheduler")
    if config.name in CHANGING:
        _check_changing(config.name, search, configs)
    if config.name in SPACES:
        key = SPACES[config.name]
        spaces = _mutations(search, key, arguments.get(key))
        of_tune = {k: list(s.bounds) if config.name == "pb2" else s.of_tune for k, s in spaces.items()}
        arguments |= {key: {POINT: of_tune}, "custom_explore_fn": partial(_clipped, spaces), "require_attrs": False}
    arguments |= _known_to(kind, time_attr=ROUNDS, metric=search.config.metric[0], mode=search.config.modes[0])
    scheduler: TrialScheduler = _made(kind, config.name, arguments, "scheduler")
    return scheduler


def make_searcher(search: Search) -> Any:
    """Ray Tune's search algorithm; None: the trials are known before.

    Raises:
        ConfigError: its package is not installed, or an argument that it does not have, or refuses.
    """
    config = search.config.searcher
    if not config.learns:
        return None
    module, package = SEARCHERS[config.name]
    importers: Mapping[str, Any] = SEARCH_ALG_IMPORT
    kind = importers[config.name]()
    _check_names(kind, config.name, config.arguments, "searcher")
    if find_spec(module) is None:
        raise ConfigError("searcher.name", f"{config.name} is not installed", f"pip install {package}")
    if config.name == "optuna":
        from raygan.search.learning import make_learner

        return _made(partial(make_learner, search), "optuna", config.arguments, "searcher")
    given = _known_to(kind, metric=search.config.metric[0], mode=search.config.modes[0])
    given |= _known_to(kind, **dict.fromkeys(SEEDS, search.config.seed))
    return _made(kind, config.name, {**given, **config.arguments}, "searcher")


def searched_space(search: Search) -> dict[str, Any]:
    """`param_space` of a searcher that learns: Optuna asks for what it wants, the others are told."""
    if search.config.searcher.name == "optuna":
        return {}
    space = {key: tune.choice(d.of_tune) if d.values else d.of_tune for key, d in search.space.items()}
    return {POINT: {**space, "seed": search.config.seeds[0]}}


def make_loggers(asked: Mapping[Any, Mapping[str, Any]]) -> list[Callback]:
    """Loggers beside those that Ray Tune always has (TensorBoard, CSV, JSON).

    Args:
        asked: name -> arguments of Ray's callback.

    Raises:
        ConfigError: a package that is not installed, or an argument that the callback does not have.
    """
    made = []
    for name, arguments in asked.items():
        if find_spec(name) is None:
            raise ConfigError(f"callbacks.{name}", f"{name} is not installed", f"pip install {name}")
        kind = getattr(import_module(f"ray.air.integrations.{name}"), LOGGERS[name])
        _check_names(kind, kind.__name__, arguments, f"callbacks.{name}")
        made.append(_made(kind, kind.__name__, arguments, f"callbacks.{name}"))
    return made


class StopRules(Stopper):
    """The rules of a search's file, for each trial by itself. The limit for all is Ray Tune's `time_budget_s`."""

    def __init__(self, config: SearchConfig) -> None:
        self._rules, self._metric, self._mode = config.stop, config.metric[0], config.modes[0]
        rounds, std = config.stop.plateau_rounds, config.stop.plateau_std
        self._plateau = TrialPlateauStopper(self._metric, std, rounds, 0) if rounds else NoopStopper()

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether this trial ends with this round."""
        seconds = self._rules.trial_seconds
        if seconds is not None and result["time_total_s"] >= seconds:
            return True
        if self._metric not in result:
            return False
        is_level = bool(self._plateau(trial_id, result))
        return is_level or reached(self._rules.score, result[self._metric], self._mode)

    def stop_all(self) -> bool:
        """Whether the search ends."""
        return False


def reached(wanted: float | None, score: float, mode: str) -> bool:
    """Whether a score is as good as wanted; None: nothing is wanted."""
    if wanted is None:
        return False
    return score >= wanted if mode == "max" else score <= wanted


def _clipped(spaces: Mapping[str, Domain], given: dict[str, Any]) -> dict[str, Any]:
    """A trial's configuration, as Ray Tune has it, with every key within its bounds: PBT multiplies values without a
    look at their space."""
    point = dict(given[POINT])
    for key, space in spaces.items():
        if space.is_range and key in point:
            low, high = space.probes
            point[key] = min(max(point[key], low), high)
    return {**given, POINT: point}


def _defaults(name: str, configs: Sequence[Config]) -> dict[str, Any]:
    if name in ("asha", "hyperband", "hb_bohb"):
        return {"max_t": max(config.training.rounds for config in configs)}
    return {"median": {"grace_period": 1}, "pbt_replay": {}}.get(name, {"perturbation_interval": 2})


def _known_to(kind: type, **arguments: Any) -> dict[str, Any]:
    """Those that a class takes."""
    parameters = inspect.signature(kind).parameters
    return {key: value for key, value in arguments.items() if key in parameters}


def _check_names(kind: type, name: str, given: Mapping[str, Any], where: str) -> None:
    parameters = inspect.signature(kind).parameters
    known = [key for key, value in parameters.items() if key not in OURS and value.kind != value.VAR_KEYWORD]
    for key in given:
        if key in OURS and key in parameters:
            raise ConfigError(f"{where}.{key}", "follows from the search", "leave it out")
        if key not in known:
            raise ConfigError(f"{where}.{key}", f"{name} has no such argument", instead_of(key, known))


def _made(kind: Any, name: str, arguments: Mapping[str, Any], where: str) -> Any:
    try:
        return kind(**arguments)
    except (AssertionError, TypeError, ValueError, tune.TuneError) as error:
        found = f"{name} refuses its arguments ({' '.join(str(error).split())})"
        raise ConfigError(where, found, "mend them") from None


def _check_changing(name: str, search: Search, configs: Sequence[Config]) -> None:
    for checkpoints in (config.checkpoints for config in configs):
        if checkpoints.keep is not None or checkpoints.every > 1:
            found = f"keep {checkpoints.keep}, every {checkpoints.every}"
            remedy = f"set keep: null and every: 1: with {name}, trials go on from each other's checkpoints"
            raise ConfigError("base.checkpoints", found, remedy)
    if len(search.config.seeds) > 1:
        found = f"several with {name}, whose trials go on from each other"
        raise ConfigError("seeds", found, "give one")


def _mutations(search: Search, argument: str, given: Any) -> dict[str, Domain]:
    if not isinstance(given, Mapping) or not given:
        form = "[low, high]" if argument == "hyperparam_bounds" else "{uniform: ...}"
        remedy = f"give keys and their spaces, such as training.lr: {form}"
        raise ConfigError("scheduler", f"{argument} {given!r}", remedy)
    mutations = {}
    for key, space in given.items():
        where = f"scheduler.{argument}.{key}"
        if key not in CHANGEABLE:
            found = "cannot change between two rounds of a run"
            raise ConfigError(where, found, f"use {', '.join(CHANGEABLE)}")
        if key not in search.config.space:
            remedy = "add it there: trials begin with different values"
            raise ConfigError(where, "is not in the space", remedy)
        try:
            mutations[key] = parse_domain({"uniform": space} if argument == "hyperparam_bounds" else space)
        except ValueError as error:
            found, _, remedy = str(error).partition("; ")
            raise ConfigError(where, found, remedy) from None
    return mutations
