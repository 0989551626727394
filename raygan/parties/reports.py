"""What a worker tells of a step, from what its clients computed in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from raygan.wire.records import StepId, StepReport
from raygan.wire.statistics import Statistics, merged


@dataclass(frozen=True)
class ClientStep:
    """What one client's step tells."""

    discriminator_loss: float
    generator_loss: float
    num_images: int
    """Real images used."""
    statistics: Statistics

    @property
    def is_finite(self) -> bool:
        """Whether both losses are finite."""
        return math.isfinite(self.discriminator_loss + self.generator_loss)


def step_report(
    step: StepId,
    worker: int,
    steps: Mapping[int, ClientStep],
    seconds: Mapping[str, float],
    bytes_sent: int = 0,
    bytes_received: int = 0,
) -> StepReport:
    """The report of a worker.

    Args:
        steps: client -> its step, of those that took part.
        seconds: of work, by phase.
    """
    return StepReport(
        step=step,
        discriminator_loss={number: one.discriminator_loss for number, one in steps.items()},
        generator_loss={number: one.generator_loss for number, one in steps.items()},
        num_images=sum(one.num_images for one in steps.values()),
        seconds=dict(seconds),
        bytes_sent=bytes_sent,
        bytes_received=bytes_received,
        faults=tuple(
            f"client-{number:02d}: its loss is not finite" for number, one in steps.items() if not one.is_finite
        ),
        worker=worker,
        statistics=merged(one.statistics for one in steps.values()),
    )
