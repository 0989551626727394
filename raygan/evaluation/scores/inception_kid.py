"""The usual KID, on Inception's features (`raygan/evaluation/kernel.py`), where its weights are at hand."""

from __future__ import annotations

import torch

from raygan.evaluation.frechet import FrechetDistance
from raygan.evaluation.kernel import PART, kernel_distance
from raygan.evaluation.scores import inception_fid
from raygan.evaluation.scores.state import Batch, Reference


class InceptionKid:
    """The distance of generated images to real test images, at most 1,000 of either: more would only lessen its spread,
    at a tenth of a second an image. No value where Inception is missing (`inception_fid` warns)."""

    def __init__(self, reference: Reference, seed: int) -> None:
        self._inception = None
        self._images: list[torch.Tensor] = []
        if inception_fid.why_no_inception() is None:
            self._inception = FrechetDistance(inception_fid.POOL_FEATURES)
            self._real = reference.real.test_images[reference.drawn_rows]

    def update(self, batch: Batch) -> None:
        """Adds images."""
        assert batch.images is not None
        self._images.append(batch.images)

    def merge(self, other: InceptionKid) -> None:
        """Adds the other's images."""
        self._images += other._images

    def compute(self) -> float | None:
        """The distance; None without Inception."""
        if self._inception is None:
            return None
        sides = (self._real, torch.cat(self._images)[:PART])
        return kernel_distance(*(inception_fid.inception_features(self._inception, side) for side in sides))
