"""What a run tells whoever watches it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar, cast

from raygan.run.plan import Plan
from raygan.wire.records import StepReport, Usage

DASHBOARD = "Ray dashboard: {} (where it asks for a token: ray get-auth-token)"
"""The line that says where Ray shows the run."""

F = TypeVar("F", bound=Callable[..., object])


class Listener:
    """Does nothing; override what you want to see."""

    def on_wait(self, progress: str) -> None:
        """Nodes of the cluster are waited for, or it declares no devices."""

    def on_start(self, plan: Plan, num_steps: int, first_round: int, dashboard: str | None) -> None:
        """The actors are up; rounds have `num_steps` steps."""

    def on_step(self, round_number: int, step: int, losses: tuple[float, float], num_images: int) -> None:
        """A step has ended: mean discriminator and generator losses, real images used."""

    def on_reports(self, reports: Mapping[str, StepReport]) -> None:
        """What the client actors tell of the step that has ended, by their names."""

    def on_usage(self, usage: Mapping[str, Usage]) -> None:
        """A round's steps have ended: what the actors have used so far, by their names."""

    def on_round(self, metrics: dict[str, Any]) -> None:
        """A round's line of `metrics.jsonl` was written, scores included."""

    def on_fault(self, fault: str) -> None:
        """Something went wrong with one client."""

    def on_end(self) -> None:
        """The run has ended, has stopped or has failed: nothing more is told."""

    def should_stop(self) -> bool:
        """Asked after each round: whether the run is to end there, with a checkpoint to go on from."""
        return False


def _tell(method: F) -> F:
    """The method of `Listeners` that calls this one of each; whether any of them says so."""

    def tell(listeners: Listeners, *arguments: Any) -> bool:
        answers = [getattr(listener, method.__name__)(*arguments) for listener in listeners.all]
        return any(answers)

    return cast(F, tell)


class Listeners(Listener):
    """Tells several."""

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self.all = tuple(listeners)

    on_wait = _tell(Listener.on_wait)
    on_start = _tell(Listener.on_start)
    on_step = _tell(Listener.on_step)
    on_reports = _tell(Listener.on_reports)
    on_usage = _tell(Listener.on_usage)
    on_round = _tell(Listener.on_round)
    on_fault = _tell(Listener.on_fault)
    on_end = _tell(Listener.on_end)
    should_stop = _tell(Listener.should_stop)


class FaultBook(Listeners):
    """Tells one, and keeps the faults for the round's line."""

    def __init__(self, listener: Listener) -> None:
        super().__init__([listener])
        self._faults: list[str] = []

    def on_fault(self, fault: str) -> None:
        """Keeps and tells it."""
        self._faults.append(fault)
        super().on_fault(fault)

    def take(self) -> list[str]:
        """The faults since this was last asked."""
        taken, self._faults = self._faults, []
        return taken
