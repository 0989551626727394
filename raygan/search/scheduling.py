"""Ray Tune's schedulers and searchers, with every argument checked: Ray itself drops unknown ones silently."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ray import tune
from ray.tune.schedulers import ASHAScheduler, MedianStoppingRule, PopulationBasedTraining, TrialScheduler

from raygan.config.schema import Config
from raygan.errors import ConfigError, instead_of
from raygan.search.domain import Domain, parse_domain
from raygan.search.search import POINT, Search

SCHEDULERS = {"asha": ASHAScheduler, "median": MedianStoppingRule, "pbt": PopulationBasedTraining}
OURS = ("time_attr", "metric", "mode", "custom_explore_fn", "require_attrs")
"""Arguments that follow from the search."""
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
    _check_names(kind, config.name, config.arguments)
    if config.name == "pbt":
        _check_pbt(search, configs)
        spaces = _mutations(search, arguments)
        arguments["hyperparam_mutations"] = {POINT: {key: as_tune(space) for key, space in spaces.items()}}
        arguments["custom_explore_fn"] = Clipped(spaces)
        arguments["require_attrs"] = False
    try:
        return kind(
            time_attr=ROUNDS, metric=search.config.metric[0], mode=search.config.modes[0], **arguments
        )
    except (AssertionError, TypeError, ValueError, tune.TuneError) as error:
        found = f"{config.name} refuses its arguments ({' '.join(str(error).split())})"
        raise ConfigError("scheduler", found, "mend them") from None


def make_searcher(search: Search) -> Any:
    """Optuna's search algorithm; None: the trials are known before.

    Raises:
        ConfigError: Optuna is not installed.
    """
    if search.config.searcher.name != "optuna":
        return None
    try:
        from raygan.search.learning import make_learner
    except ImportError:
        raise ConfigError(
            "searcher.name", "optuna is not installed", "pip install 'raygan[optuna]'"
        ) from None
    return make_learner(search)


@dataclass(frozen=True)
class Clipped:
    """PBT multiplies values without a look at their space; this brings them back into it."""

    spaces: Mapping[str, Domain]

    def __call__(self, given: dict[str, Any]) -> dict[str, Any]:
        """A trial's configuration, as Ray Tune has it, with every key within its bounds."""
        point = dict(given[POINT])
        for key, space in self.spaces.items():
            if space.is_range and key in point:
                low, high = space.probes
                point[key] = min(max(point[key], low), high)
        return {**given, POINT: point}


def _defaults(name: str, configs: Sequence[Config]) -> dict[str, Any]:
    if name == "asha":
        return {"max_t": max(config.training.rounds for config in configs)}
    return {"grace_period": 1} if name == "median" else {"perturbation_interval": 2}


def _check_names(kind: type, name: str, given: Mapping[str, Any]) -> None:
    known = [key for key in inspect.signature(kind).parameters if key not in OURS]
    for key in given:
        if key in OURS:
            raise ConfigError(f"scheduler.{key}", "follows from the search", "leave it out")
        if key not in known:
            remedy = instead_of(key, known)
            raise ConfigError(f"scheduler.{key}", f"{name} has no such argument", remedy)


def _check_pbt(search: Search, configs: Sequence[Config]) -> None:
    for checkpoints in (config.checkpoints for config in configs):
        if checkpoints.keep is not None or checkpoints.every > 1:
            found = f"keep {checkpoints.keep}, every {checkpoints.every}"
            remedy = "set keep: null and every: 1: with pbt, trials go on from each other's checkpoints"
            raise ConfigError("base.checkpoints", found, remedy)
    if len(search.config.seeds) > 1:
        raise ConfigError("seeds", "several with pbt, whose trials go on from each other", "give one")


def _mutations(search: Search, arguments: Mapping[str, Any]) -> dict[str, Domain]:
    given = arguments.get("hyperparam_mutations")
    if not isinstance(given, Mapping) or not given:
        found = f"hyperparam_mutations {given!r}"
        raise ConfigError(
            "scheduler", found, "give keys and their spaces, such as training.lr: {uniform: ...}"
        )
    mutations = {}
    for key, space in given.items():
        where = f"scheduler.hyperparam_mutations.{key}"
        if key not in CHANGEABLE:
            found = "cannot change between two rounds of a run"
            raise ConfigError(where, found, f"use {', '.join(CHANGEABLE)}")
        if key not in search.config.space:
            raise ConfigError(
                where, "is not in the space", "add it there: trials begin with different values"
            )
        try:
            mutations[key] = parse_domain(space)
        except ValueError as error:
            found, _, remedy = str(error).partition("; ")
            raise ConfigError(where, found, remedy) from None
    return mutations


def as_tune(domain: Domain) -> Any:
    """The same space in Ray Tune's form."""
    if not domain.is_range:
        return list(domain.values)
    forms: dict[str, Any] = {
        "uniform": tune.uniform,
        "quniform": tune.quniform,
        "loguniform": tune.loguniform,
        "randint": tune.randint,
    }
    return forms[domain.kind](*domain.bounds)
