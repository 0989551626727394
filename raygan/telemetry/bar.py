"""A run's progress for whoever calls raygan from Python: a bar of tqdm's, which notebooks show as theirs."""

from __future__ import annotations

import sys
from typing import Any

from tqdm.auto import tqdm

from raygan.run.events import DASHBOARD, Listener
from raygan.run.plan import Plan
from raygan.scores import HEADLINE

LOG_SECONDS = 30.0
"""Between two looks of the bar where standard error is a file or a pipe."""


class Bar(Listener):
    """One bar over all steps, with the losses and the last scores beside it."""

    def __init__(self) -> None:
        self._bar: Any = None
        self._rounds = self._steps = 0
        self._scores = ""

    def on_end(self) -> None:
        """The bar stays as it is."""
        if self._bar is not None:
            self._bar.close()

    def on_wait(self, progress: str) -> None:
        """A line above the bar."""
        tqdm.write(progress, file=sys.stderr)

    def on_start(self, plan: Plan, num_steps: int, first_round: int, dashboard: str | None) -> None:
        """Where to look, and the bar begins, at the first round that is missing."""
        if dashboard:
            tqdm.write(DASHBOARD.format(dashboard), file=sys.stderr)
        self._rounds, self._steps = plan.config.training.rounds, num_steps
        is_seen = sys.stderr.isatty() or "ipykernel" in sys.modules
        self._bar = tqdm(
            total=self._rounds * num_steps,
            initial=first_round * num_steps,
            desc=f"round {first_round + 1}/{self._rounds}",
            unit="step",
            mininterval=0.1 if is_seen else LOG_SECONDS,
        )

    def on_step(self, round_number: int, step: int, losses: tuple[float, float], num_images: int) -> None:
        """The bar moves; back, where a round begins again."""
        self._bar.set_description(f"round {round_number + 1}/{self._rounds}", refresh=False)
        self._bar.set_postfix_str(f"D {losses[0]:.2f} G {losses[1]:.2f}{self._scores}", refresh=False)
        self._bar.update(round_number * self._steps + step + 1 - self._bar.n)

    def on_round(self, metrics: dict[str, Any]) -> None:
        """The scores change."""
        found = {name: entry[HEADLINE] for name, entry in metrics["scores"].items() if entry[HEADLINE] is not None}
        self._scores = "".join(f", {name} {100 * score:.0f}%" for name, score in found.items())

    def on_fault(self, fault: str) -> None:
        """A line above the bar."""
        tqdm.write(f"warning: {fault}", file=sys.stderr)
