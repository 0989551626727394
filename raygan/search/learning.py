"""A searcher that learns from the trials before: Ray Tune's wrapper of Optuna. Needs the extra `optuna`."""

from __future__ import annotations

from functools import partial
from typing import Any

import optuna
from ray.tune.search.optuna import OptunaSearch

from raygan.search.search import POINT, Search

STARTUP_TRIALS = 10


class Learner(OptunaSearch):
    """Passes over the rounds that have no score, which Ray's class takes for an error."""

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        """As Ray's class."""
        if isinstance(self.metric, str) and self.metric in result:  # of several, Optuna hears at the end
            super().on_trial_result(trial_id, result)


def ask(search: Search, trial: Any) -> dict[str, Any]:
    """A point as Optuna asks for it, trial by trial: names with the point's prefix -> labels."""
    point = search.chosen(lambda key, domain: domain.suggest(trial, f"{POINT}/{key}"))
    return {f"{POINT}/{key}": label for key, label in {**point, "seed": search.config.seeds[0]}.items()}


def make_learner(search: Search, **arguments: Any) -> Learner:
    """The searcher, with one objective or several; arguments as Ray's class has them."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    metrics, modes = list(search.config.metric), [str(mode) for mode in search.config.modes]
    single = len(metrics) == 1
    config, seed = search.config.searcher, search.config.seed
    sampler: optuna.samplers.BaseSampler
    if config.sampler == "nsga2":
        sampler = optuna.samplers.NSGAIISampler(seed=seed)
    elif config.sampler == "random":
        sampler = optuna.samplers.RandomSampler(seed=seed)
    else:
        startup = config.startup_trials or STARTUP_TRIALS
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup, constant_liar=True)
    return Learner(
        space=partial(ask, search),
        metric=metrics[0] if single else metrics,
        mode=modes[0] if single else modes,
        sampler=sampler,
        **arguments,
    )
