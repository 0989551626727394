"""Coverage: how much of what real images show is generated (`raygan/evaluation/neighbours.py`)?"""

from __future__ import annotations

from raygan.evaluation.neighbours import Balls
from raygan.evaluation.scores.state import KeptFeatures


class Coverage(KeptFeatures):
    """Of as many generated images as there are real ones to hold them against, from 0 to 1."""

    def compute(self) -> float:
        """The coverage."""
        balls = Balls(self._reference.drawn[0])
        return balls.coverage(self.features[: len(balls)])
