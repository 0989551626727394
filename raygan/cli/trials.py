"""Trials of a search or a comparison, as a person sees them go on."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

from ray.tune import Callback
from rich.filesize import decimal

from raygan.cli.progress import EVERY_SECONDS
from raygan.cli.screen import current
from raygan.scores import SCORES
from raygan.search.reported import MEASURES
from raygan.search.results import last_line
from raygan.search.search import POINT

STATES = {"terminated": "ended", "pending": "waiting", "error": "failed"}
"""Ray Tune's words for a trial's state, as people say them."""


class Progress(Callback):
    """One line for each trial that starts, reports or fails, and one every so often of all of them. Ray Tune keeps it
    with the search, for `--resume`; it speaks on the screen of the command that goes on."""

    def __init__(self, metric: str, num_trials: int) -> None:
        self._metric, self._num_trials = metric, num_trials
        self._numbers: dict[str, int] = {}
        self._told = time.monotonic()

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Where nothing else has been said for a time: how far all trials are."""
        now = time.monotonic()
        if now - self._told < EVERY_SECONDS[current().level]:
            return
        self._told = now
        counts = Counter(str(trial.status).lower() for trial in trials)
        current().tell(", ".join(f"{count} {STATES.get(state, state)}" for state, count in counts.items()))

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """What the trial tries; again after an interruption or, with PBT, a change."""
        self._print(trial, ", ".join(f"{key}={short(v)}" for key, v in trial.config[POINT].items()))

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """The round, its seconds and its score."""
        score = result.get(self._metric)
        told = "no score" if score is None else f"{words(self._metric)} {shown(self._metric, score)}"
        count = result.get("clusters")
        clusters = f"{count} cluster{'s' if count > 1 else ''}  " if count else ""
        self._print(trial, f"round {result['round']:>3}  {result['seconds']:6.1f} s  {clusters}{told}")
        also = {name: value for name, value in result.items() if name in MEASURES and value is not None}
        current().detail(self._of(trial, ", ".join(f"{words(name)} {shown(name, x)}" for name, x in also.items())))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """That it ended."""
        self._print(trial, "ended")

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Why it failed."""
        self._told = time.monotonic()
        current().warn(self._of(trial, f"failed: {last_line(trial.get_error())}"))

    def get_state(self) -> dict[str, int]:
        """The trials' numbers: Ray Tune keeps them, since a restored search has its trials in another order."""
        return dict(self._numbers)

    def set_state(self, state: dict[str, int]) -> None:
        """Takes them over."""
        self._numbers = dict(state)

    def _print(self, trial: Any, text: str) -> None:
        self._told = time.monotonic()
        current().tell(self._of(trial, text))

    def _of(self, trial: Any, text: str) -> str:
        number = self._numbers.setdefault(trial.trial_id, len(self._numbers) + 1)
        return f"trial {number:>{len(str(self._num_trials))}}/{self._num_trials}  {text}"


def shown(name: str, value: float) -> str:
    """A measure's value with its unit."""
    if name.split("/")[0] in {score.reported for score in SCORES.values() if score.is_share}:
        return f"{100 * value:.1f}%"
    return decimal(int(value)) if "bytes" in name else f"{value:.3g}"


def words(name: str) -> str:
    """A measure's name."""
    if name.endswith("_s"):
        return f"{name.removesuffix('_s').replace('_', ' ')} (s)"
    known = {"memory_bytes": "memory", "bytes_per_round": "bytes a round", "bytes_per_client": "bytes a client"}
    return known.get(name, name.replace("_", " "))


def short(value: Any) -> str:
    """A value that a trial tries."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
