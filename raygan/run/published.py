"""Tells the metrics of a run to Ray while it goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raygan.run.events import Listener
from raygan.telemetry.recorder import Recorder
from raygan.wire.records import StepReport, Usage


class MetricsListener(Listener):
    """Publishes what it is told. Make it in a process that has joined Ray."""

    def __init__(self, run: str) -> None:
        self._recorder = Recorder(run)
        self._losses = (float("nan"), float("nan"))

    def on_step(self, round_number: int, step: int, losses: tuple[float, float], num_images: int) -> None:
        """The step's losses; the rest comes with its reports."""
        self._losses = losses

    def on_reports(self, reports: Mapping[str, StepReport]) -> None:
        """A step."""
        self._recorder.step(self._losses, reports)

    def on_usage(self, usage: Mapping[str, Usage]) -> None:
        """Where the actors' time went."""
        self._recorder.usage(usage)

    def on_round(self, metrics: dict[str, Any]) -> None:
        """A round."""
        self._recorder.round(metrics)

    def on_fault(self, fault: str) -> None:
        """One more."""
        self._recorder.fault()
