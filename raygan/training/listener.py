"""What a run tells whoever watches it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from raygan.training.plan import Plan


class Listener:
    """Does nothing; override what you want to see."""

    def on_start(self, plan: Plan, num_steps: int, first_round: int, dashboard: str | None) -> None:
        """The actors are up; rounds have `num_steps` steps."""

    def on_step(self, round_number: int, step: int, losses: tuple[float, float], num_images: int) -> None:
        """A step has ended: mean discriminator and generator losses, real images used."""

    def on_round(self, metrics: dict[str, Any]) -> None:
        """A round's line of `metrics.jsonl` was written, scores included."""

    def on_fault(self, fault: str) -> None:
        """Something went wrong with one client."""


class Listeners(Listener):
    """Tells several."""

    def __init__(self, listeners: Iterable[Listener]) -> None:
        self._listeners = tuple(listeners)

    def on_start(self, plan: Plan, num_steps: int, first_round: int, dashboard: str | None) -> None:
        """As `Listener`."""
        for listener in self._listeners:
            listener.on_start(plan, num_steps, first_round, dashboard)

    def on_step(self, round_number: int, step: int, losses: tuple[float, float], num_images: int) -> None:
        """As `Listener`."""
        for listener in self._listeners:
            listener.on_step(round_number, step, losses, num_images)

    def on_round(self, metrics: dict[str, Any]) -> None:
        """As `Listener`."""
        for listener in self._listeners:
            listener.on_round(metrics)

    def on_fault(self, fault: str) -> None:
        """As `Listener`."""
        for listener in self._listeners:
            listener.on_fault(fault)
