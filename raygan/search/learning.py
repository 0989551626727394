"""A searcher that learns from the trials before: Ray Tune's wrapper of Optuna. Needs the extra `optuna`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Asked:
    """The search's space as Optuna asks for it, trial by trial, conditional keys included."""

    search: Search

    def __call__(self, trial: Any) -> dict[str, Any]:
        """Names with the point's prefix -> labels."""
        space = self.search.config.space
        point = {key: domain.suggest(trial, f"{POINT}/{key}") for key, domain in space.items()}
        for key, domain in self.search.domains(point).items():
            if key not in point:
                point[key] = domain.suggest(trial, f"{POINT}/{key}")
        point["seed"] = self.search.config.seeds[0]
        return {f"{POINT}/{key}": label for key, label in point.items()}


def make_learner(search: Search) -> Learner:
    """The searcher, with one objective or several."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    metrics, modes = list(search.config.metric), [str(mode) for mode in search.config.modes]
    single = len(metrics) == 1
    return Learner(
        space=Asked(search),
        metric=metrics[0] if single else metrics,
        mode=modes[0] if single else modes,
        sampler=_sampler(search),
    )


def _sampler(search: Search) -> optuna.samplers.BaseSampler:
    config, seed = search.config.searcher, search.config.seed
    startup = config.startup_trials or STARTUP_TRIALS
    samplers: dict[str, Callable[[], optuna.samplers.BaseSampler]] = {
        "tpe": lambda: optuna.samplers.TPESampler(seed=seed, n_startup_trials=startup, constant_liar=True),
        "nsga2": lambda: optuna.samplers.NSGAIISampler(seed=seed),
        "random": lambda: optuna.samplers.RandomSampler(seed=seed),
    }
    return samplers[config.sampler or "tpe"]()
