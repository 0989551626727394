"""Stop rules: when a trial, or the whole search, ends before its last round."""

from __future__ import annotations

from typing import Any

from ray.tune import Stopper
from ray.tune.stopper import NoopStopper, TrialPlateauStopper

from raygan.search.schema import SearchConfig


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
