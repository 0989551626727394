"""Density: are samples where real images are (`raygan/evaluation/neighbours.py`)?"""

from __future__ import annotations

from raygan.evaluation.neighbours import Balls
from raygan.evaluation.scores.state import KeptFeatures


class Density(KeptFeatures):
    """Of as many generated images as there are real ones to hold them against, from 0; 1 for real images."""

    def compute(self) -> float:
        """The density."""
        balls = Balls(self._reference.drawn[0])
        return balls.density(self.features[: len(balls)])
