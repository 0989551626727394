"""What a run tells whoever watches it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from raygan.run.plan import Plan
from raygan.wire.records import StepReport, Usage


class Listener:
    """Does nothing; override what you want to see."""

    def on_wait(self, progress: str) -> None:
        """Nodes of the cluster are waited for."""

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

    def should_stop(self) -> bool:
        """Asked after each round: whether the run is to end there, with a checkpoint to go on from."""
        return False


class Listeners(Listener):
    """Tells several."""

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._listeners = tuple(listeners)

    def on_wait(self, progress: str) -> None:
        """As `Listener`."""
        for listener in self._listeners:
            listener.on_wait(progress)

    def on_start(self, plan: Plan, num_steps: int, first_round: int, dashboard: str | None) -> None:
        """As `Listener`."""
        for listener in self._listeners:
            listener.on_start(plan, num_steps, first_round, dashboard)

    def on_step(self, round_number: int, step: int, losses: tuple[float, float], num_images: int) -> None:
        """As `Listener`."""
        for listener in self._listeners:
            listener.on_step(round_number, step, losses, num_images)

    def on_reports(self, reports: Mapping[str, StepReport]) -> None:
        """As `Listener`."""
        for listener in self._listeners:
            listener.on_reports(reports)

    def on_usage(self, usage: Mapping[str, Usage]) -> None:
        """As `Listener`."""
        for listener in self._listeners:
            listener.on_usage(usage)

    def on_round(self, metrics: dict[str, Any]) -> None:
        """As `Listener`."""
        for listener in self._listeners:
            listener.on_round(metrics)

    def on_fault(self, fault: str) -> None:
        """As `Listener`."""
        for listener in self._listeners:
            listener.on_fault(fault)

    def should_stop(self) -> bool:
        """Whether any of them says so."""
        return any(listener.should_stop() for listener in self._listeners)


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
