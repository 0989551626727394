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


class ClassifierFid(FrechetDistance):
    """The distance of generated images' features to those of the real test images.

    Give 5,000 images or more: the distance is biased upwards where there are few.
    """

    def __init__(self, reference: Reference, seed: int) -> None:
        real = reference.test_features
        super().__init__(GivenFeatures(real.shape[1]))
        self.add(real, real=True)

    def update(self, batch: Batch) -> None:
        """Adds features."""
        assert batch.features is not None
        self.add(batch.features, real=False)
