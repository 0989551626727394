"""What a run tells whoever watches it."""

from __future__ import annotations

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
