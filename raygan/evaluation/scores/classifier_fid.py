"""FID on the domain classifier's features (`raygan/evaluation/frechet.py`)."""

from __future__ import annotations

import torch
from torch import nn

from raygan.evaluation.frechet import FrechetDistance
from raygan.evaluation.scores.state import Batch, Reference


class GivenFeatures(nn.Module):
    """Hands features (N, F) through as float64, so that torchmetrics' sums start in float64."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, F) -> (N, F) float64."""
        return features.double()


class ClassifierFid:
    """The distance of generated images' features to those of the real test images.

    Give 5,000 images or more: the distance is biased upwards where there are few.
    """

    def __init__(self, reference: Reference, seed: int) -> None:
        real = reference.test_features
        self._distance = FrechetDistance(GivenFeatures(real.shape[1]))
        self._distance.update(real, real=True)

    def update(self, batch: Batch) -> None:
        """Adds features."""
        assert batch.features is not None
        self._distance.update(batch.features, real=False)

    def merge(self, other: ClassifierFid) -> None:
        """Adds the sums over generated images; the real ones are the same."""
        self._distance.merge(other._distance)

    def compute(self) -> float:
        """The distance, >= 0, float64."""
        return self._distance.compute()
