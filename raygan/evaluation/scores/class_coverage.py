"""Coverage class by class: has the generator collapsed in one of them (`raygan/evaluation/neighbours.py`)?"""

from __future__ import annotations

from collections.abc import Mapping

from raygan.evaluation.neighbours import Balls
from raygan.evaluation.scores.state import KeptFeatures

FEWEST = 2
"""Real images of a class that can be covered."""


class ClassCoverage(KeptFeatures):
    """Coverage of each class's real images by the images that were asked to show it, as many as these."""

    def compute(self) -> Mapping[str, float]:
        """By the class's number; classes with fewer than two real images are left out."""
        real, real_labels = self._reference.drawn
        found: dict[str, float] = {}
        for label in self._reference.real.classes.tolist():
            mine, asked = real[real_labels == label], self.features[self.labels == label]
            if len(mine) >= FEWEST and len(asked):
                found[str(label)] = Balls(mine).coverage(asked[: len(mine)])
        return {"images": len(self.labels), **found}
