"""Ray Tune's logger callbacks (W&B, MLflow, Comet, ...) for a run that is no trial."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray.tune.logger import LoggerCallback

from raygan.errors import InputError, first_line
from raygan.run.events import Listener
from raygan.run.metrics import flat
from raygan.run.plan import Plan

Callback = Listener | LoggerCallback
"""Who may be told of a run beside its listener."""


@dataclass(frozen=True)
class RunAsTrial:
    """What such callbacks ask a trial for."""

    trial_id: str
    """Name of the run's folder."""
    local_path: str
    config: dict[str, Any]
    trainable_name: str = "raygan"
    checkpoint: None = None

    @property
    def experiment_dir_name(self) -> str:
        """The group under which runs are kept: the folder that the run's is in."""
        return Path(self.local_path).parent.name

    @property
    def evaluated_params(self) -> dict[str, Any]:
        """The configuration."""
        return self.config

    def init_local_path(self) -> None:
        """Makes the folder."""
        Path(self.local_path).mkdir(parents=True, exist_ok=True)

    def __str__(self) -> str:
        return self.trial_id

    def __hash__(self) -> int:
        return hash(self.trial_id)


class RunCallback(Listener):
    """Tells one callback of the run as of a trial: its configuration, and the flat metrics of each round.

    Args:
        folder: the run's.
        tell: told where the callback fails later on, as by a network; the run goes on.
    """

    def __init__(self, callback: LoggerCallback, folder: Path, tell: Callable[[str], None]) -> None:
        self._callback, self._folder, self._tell = callback, folder, tell
        self._trial: Any = None
        self._rounds = self._done = 0

    def on_start(self, plan: Plan, num_steps: int, first_round: int, dashboard: str | None) -> None:
        """Logs the configuration.

        Raises:
            InputError: the callback cannot begin: no account, no server.
        """
        self._rounds, self._done = plan.config.training.rounds, first_round
        self._trial = RunAsTrial(self._folder.name, str(self._folder), plan.config.model_dump(mode="json"))
        name = type(self._callback).__name__
        try:
            self._callback.setup()
            self._callback.log_trial_start(self._trial)
        except Exception as error:  # of any library
            raise InputError(name, f"cannot begin ({first_line(error)})", "mend its arguments, or do without") from None

    def on_round(self, metrics: dict[str, Any]) -> None:
        """Logs the round."""
        self._done = metrics["round"]
        result = {name: value for name, value in flat(metrics).items() if value is not None}
        self._try(self._callback.log_trial_result, self._done, self._trial, result | {"training_iteration": self._done})

    def on_end(self) -> None:
        """Ends it; a run that goes on later counts as failed until then."""
        if self._trial is not None:
            self._try(self._callback.log_trial_end, self._trial, self._done < self._rounds)

    def _try(self, call: Callable[..., None], *arguments: Any) -> None:
        try:
            call(*arguments)
        except Exception as error:  # of any library
            self._tell(f"{type(self._callback).__name__} failed: {first_line(error)}")
