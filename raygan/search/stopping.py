"""Stop rules: when a trial, or the whole search, ends before its last round."""

from __future__ import annotations

import statistics
from collections import defaultdict, deque
from typing import Any

from ray.tune import Stopper

from raygan.search.schema import SearchConfig


class StopRules(Stopper):
    """The rules of a search's file, for each trial by itself. The limit for all is Ray Tune's `time_budget_s`."""

    def __init__(self, config: SearchConfig) -> None:
        self._rules, self._metric, self._mode = config.stop, config.metric[0], config.modes[0]
        self._last: dict[str, deque[float]] = defaultdict(lambda: deque(maxlen=self._rules.plateau_rounds))

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_last": dict(self._last)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._last = defaultdict(lambda: deque(maxlen=self._rules.plateau_rounds), state["_last"])

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Whether this trial ends with this round."""
        seconds = self._rules.trial_seconds
        if seconds is not None and result["time_total_s"] >= seconds:
            return True
        if self._metric not in result:
            return False
        score = result[self._metric]
        return reached(self._rules.score, score, self._mode) or self._is_level(trial_id, score)

    def stop_all(self) -> bool:
        """Whether the search ends."""
        return False

    def _is_level(self, trial_id: str, score: float) -> bool:
        if self._rules.plateau_rounds is None:
            return False
        last = self._last[trial_id]
        last.append(score)
        return len(last) == self._rules.plateau_rounds and statistics.pstdev(last) < self._rules.plateau_std


def reached(wanted: float | None, score: float, mode: str) -> bool:
    """Whether a score is as good as wanted; None: nothing is wanted."""
    if wanted is None:
        return False
    return score >= wanted if mode == "max" else score <= wanted
