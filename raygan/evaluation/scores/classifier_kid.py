"""KID on the domain classifier's features (`raygan/evaluation/kernel.py`)."""

from __future__ import annotations

from raygan.evaluation.kernel import kernel_distance
from raygan.evaluation.scores.state import KeptFeatures


class ClassifierKid(KeptFeatures):
    """The kernel distance of generated images' features to those of real test images."""

    def compute(self) -> float:
        """The distance."""
        return kernel_distance(self._reference.drawn[0], self.features)
