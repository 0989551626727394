"""A run as a person sees it go on: a line that moves on a terminal, lines every so often in a job's log."""

from __future__ import annotations

import time
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

from rich.filesize import decimal
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from raygan.cli.going_on import GOING_ON
from raygan.cli.screen import Screen
from raygan.cli.signals import StopRequest
from raygan.run.events import DASHBOARD, Listener
from raygan.run.plan import Plan
from raygan.scores import HEADLINE

STOPPING_LINE = "stopping once this round has ended and is saved; once more stops at once"
EVERY_SECONDS = {"quiet": 30.0, "normal": 30.0, "verbose": 5.0}
"""Between two lines of progress where no line moves."""


class ProgressDisplay(Listener):
    """A line that moves, or one every so often, and one for each round that stays. From the first round on, a signal lets
    it end."""

    def __init__(self, screen: Screen, until_exit: ExitStack) -> None:
        self._screen, self._until_exit = screen, until_exit
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("D {task.fields[discriminator]:.2f} G {task.fields[generator]:.2f}"),
            TextColumn("{task.fields[speed]:.0f} images/s"),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        bar = Progress(*columns, console=screen.console, transient=True, disable=not screen.moves)
        self._progress = until_exit.enter_context(bar)
        self._task: TaskID | None = None
        self._rounds = self._steps = self._images = self._done_before = 0
        self._started = self._told = 0.0
        self.stop = StopRequest(lambda: screen.tell(STOPPING_LINE))

    def should_stop(self) -> bool:
        """Whether a signal has asked for it."""
        return self.stop.asked is not None

    def on_wait(self, progress: str) -> None:
        """Prints what is waited for."""
        self._screen.tell(progress)

    def on_start(self, plan: Plan, num_steps: int, first_round: int, dashboard: str | None) -> None:
        """Prints who takes part, and begins the line that moves."""
        GOING_ON.begun = True
        self._until_exit.enter_context(self.stop.heeded())
        self._rounds, self._steps = plan.config.training.rounds, num_steps
        self._done_before = first_round * num_steps
        clients, workers = len(plan.layout.clients), len(plan.layout.workers)
        self._screen.tell(f"{clients} clients in {workers} actors, {num_steps} steps a round")
        if dashboard:
            self._screen.tell(DASHBOARD.format(dashboard))
        self._started = self._told = time.perf_counter()
        self._task = self._progress.add_task(
            f"round {first_round + 1}/{self._rounds}",
            total=self._rounds * num_steps,
            completed=self._done_before,
            discriminator=0.0,
            generator=0.0,
            speed=0.0,
        )

    def on_step(self, round_number: int, step: int, losses: tuple[float, float], num_images: int) -> None:
        """Moves the line, or prints one if the last is some time ago."""
        assert self._task is not None
        self._images += num_images
        now, done = time.perf_counter(), round_number * self._steps + step + 1
        speed = self._images / (now - self._started)
        self._progress.update(
            self._task,
            completed=done,
            description=f"round {round_number + 1}/{self._rounds}",
            discriminator=losses[0],
            generator=losses[1],
            speed=speed,
        )
        if not self._screen.moves and now - self._told >= EVERY_SECONDS[self._screen.level]:
            self._told = now
            here = max(1, done - self._done_before)
            left_s = (now - self._started) / here * (self._rounds * self._steps - done)
            self._screen.tell(
                f"round {round_number + 1:>3}  step {step + 1} of {self._steps}  D {losses[0]:.2f} G {losses[1]:.2f}"
                f"  {speed:.0f} images/s  {timedelta(seconds=round(max(0.0, left_s)))} left"
            )

    def on_round(self, metrics: dict[str, Any]) -> None:
        """Prints the round's line."""
        found = {name: entry[HEADLINE] for name, entry in metrics["scores"].items()}
        scores = ", ".join(f"{name} {100 * s:.0f}%" for name, s in found.items() if s is not None)
        losses = (metrics["discriminator_loss"], metrics["generator_loss"])
        discriminator, generator = ("-" if loss is None else f"{loss:.2f}" for loss in losses)
        count = metrics.get("clusters")
        clusters = f"  {count} cluster{'s' if count > 1 else ''}" if count else ""
        self._screen.tell(
            f"round {metrics['round']:>3}  {metrics['seconds']:6.1f} s  D {discriminator} G {generator}{clusters}"
            + (f"  {HEADLINE.replace('_', ' ')}: {scores}" if scores else "")
        )
        scored_s = metrics["evaluation_seconds"]
        self._screen.detail(
            f"round {metrics['round']:>3}  steps {metrics['train_seconds']:.1f} s, its end {metrics['end_seconds']:.1f} s"
            + ("" if scored_s is None else f", scores {scored_s:.1f} s beside")
            + f"; {decimal(metrics['bytes_up'])} up, {decimal(metrics['bytes_down'])} down; {metrics['clients']} clients"
        )

    def on_fault(self, fault: str) -> None:
        """Prints a warning."""
        self._screen.warn(fault)
