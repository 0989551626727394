"""Fréchet distances between real and generated images, through torchmetrics.

    FID = |mu_r - mu_g|^2 + Tr(S_r + S_g - 2 (S_r S_g)^(1/2))

with the mean mu and the covariance S of features of the real and of the generated images (Heusel et al.
2017, arXiv 1706.08500). Two feature spaces: the domain classifier's penultimate layer (`classifier_fid`),
cheap and at home on digits and clothes; and Inception's pool layer (`inception_fid`), the usual FID of
colour images. Values of the two do not compare with each other.

Exactness: FID(x, x) is 0 up to 1e-6 of Tr(S), because torchmetrics takes square roots of eigenvalues that
are 0 up to rounding; a result below 0 is that rounding and is given as 0.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from raygan.errors import InputError

GENERATED = ("fake_features_num_samples", "fake_features_sum", "fake_features_cov_sum")
"""What torchmetrics sums up of generated images, float64: their number, features and outer products of features."""


class FrechetDistance:
    """The distance of a stream of generated images to real ones. `feature` is torchmetrics' name of a layer of Inception
    (2048), or a module (N, ...) -> (N, F)."""

    def __init__(self, feature: int | nn.Module) -> None:
        from torchmetrics.image.fid import FrechetInceptionDistance  # slow to import

        self._metric: Any = FrechetInceptionDistance(feature=feature, normalize=not isinstance(feature, int))

    def add(self, images: torch.Tensor, real: bool) -> None:
        """Adds images in the form that `feature` takes."""
        self._metric.update(images, real=real)

    def features(self, images: torch.Tensor) -> torch.Tensor:
        """What `feature` makes of images: (N, F)."""
        with torch.inference_mode():
            found: torch.Tensor = self._metric.inception(images)
            return found

    def merge(self, other: FrechetDistance) -> None:
        """Adds the generated images of another stream; both are held against the same real ones."""
        for name in GENERATED:
            setattr(self._metric, name, getattr(self._metric, name) + getattr(other._metric, name))

    def compute(self) -> float:
        """The distance, >= 0.

        Raises:
            InputError: fewer than 2 images on a side.
        """
        counts = self._metric.real_features_num_samples, self._metric.fake_features_num_samples
        if min(map(int, counts)) < 2:
            found = f"{int(counts[0])} real and {int(counts[1])} generated images"
            raise InputError("fid", found, "give at least 2 on either side: a covariance needs them")
        return max(0.0, float(self._metric.compute()))
