"""Fréchet distances between real and generated images, through torchmetrics (extra `fid`).

    FID = |mu_r - mu_g|^2 + Tr(S_r + S_g - 2 (S_r S_g)^(1/2))

with the mean mu and the covariance S of features of the real and of the generated images (Heusel et al.
2017, arXiv 1706.08500). Two feature spaces: the domain classifier's penultimate layer (`classifier_fid`),
cheap and at home on digits and clothes; and Inception's pool layer (`inception_fid`), the usual FID of
colour images. Values of the two do not compare with each other.

Exactness: FID(x, x) is 0 up to 1e-6 of Tr(S), because torchmetrics takes square roots of eigenvalues that
are 0 up to rounding; a result below 0 is that rounding and is given as 0.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import torch
from torch import nn

from raygan.errors import InputError
from raygan.evaluation.classifier import DomainClassifier
from raygan.evaluation.images import Images, as_images, as_uint8, scaled

INCEPTION_WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
"""The file that torch-fidelity keeps in torch hub's checkpoint folder."""
INCEPTION_BATCH_SIZE = 32
"""299x299 pixels each: Inception's activations are large."""


class GivenFeatures(nn.Module):
    """Hands features (N, F) through as float64, so that torchmetrics' sums start in float64."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(N, F) -> (N, F) float64."""
        return features.double()


class FrechetDistance:
    """The distance of a stream of features to real ones, whose mean and covariance are summed up once.

    Args:
        real: features of the real images, (N, F), N >= 2.

    Raises:
        InputError: torchmetrics is not installed, or fewer than 2 real images.
    """

    def __init__(self, real: torch.Tensor) -> None:
        if len(real) < 2:
            raise InputError("fid", f"{len(real)} real images", "give at least 2: a covariance needs them")
        features = GivenFeatures(real.shape[1])
        self._metric = _metric_class()(feature=features, reset_real_features=False, normalize=True)
        self._metric.update(real, real=True)

    def update(self, generated: torch.Tensor) -> None:
        """Add features (N, F) of generated images."""
        self._metric.update(generated, real=False)

    def compute(self) -> float:
        """The distance, >= 0, float64; forgets the generated images, keeps the real ones."""
        return _computed(self._metric)


def classifier_fid(classifier: DomainClassifier, real: Images, generated: Images) -> float:
    """Fréchet distance in the domain classifier's feature space.

    Args:
        classifier: the domain's classifier; the value depends on it.
        real, generated: images in any form of `as_images`, at least 2 each; give 5,000 or more: the distance
            is biased upwards where there are few.

    Returns:
        The distance, >= 0; see the module for FID(x, x).

    Raises:
        InputError: torchmetrics is not installed, or fewer than 2 images.
    """
    distance = FrechetDistance(classifier.features(real))
    distance.update(classifier.features(generated))
    return distance.compute()


def inception_fid(real: Images, generated: Images) -> float | None:
    """The usual FID (Inception v3, 2048 features), where its weights are at hand; nothing is downloaded.

    Slow on CPUs: about a tenth of a second an image. Grey images are repeated over the three colour channels.

    Args:
        real, generated: images in any form of `as_images`, at least 2 each.

    Returns:
        The distance, >= 0, float32 precision; None where `why_no_inception` gives a reason.
    """
    if why_no_inception() is not None:
        return None
    metric = _metric_class()(feature=2048)
    for images, is_real in ((real, True), (generated, False)):
        for batch in as_images(images).split(INCEPTION_BATCH_SIZE):
            metric.update(_as_rgb_uint8(batch), real=is_real)
    return _computed(metric)


def why_no_inception() -> str | None:
    """What the Inception FID lacks here, as one line for a warning; None: nothing."""
    for package in ("torchmetrics", "torch_fidelity"):
        if importlib.util.find_spec(package) is None:
            name = package.replace("_", "-")
            return (
                f"Inception FID is skipped: {name} is not installed; pip install torchmetrics torch-fidelity"
            )
    weights = Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_WEIGHTS
    if not weights.is_file():
        return f"Inception FID is skipped: {weights} is missing; put torch-fidelity's weights there"
    return None


def torchmetrics_installed() -> bool:
    """Whether the extra `fid` is there."""
    return importlib.util.find_spec("torchmetrics") is not None


def _metric_class() -> Any:
    try:
        from torchmetrics.image.fid import FrechetInceptionDistance
    except ImportError as error:
        raise InputError("fid", "torchmetrics is not installed", "pip install torchmetrics") from error
    return FrechetInceptionDistance


def _computed(metric: Any) -> float:
    if min(int(metric.real_features_num_samples), int(metric.fake_features_num_samples)) < 2:
        raise InputError("fid", "fewer than 2 images on one side", "give at least 2: a covariance needs them")
    value = float(metric.compute())
    metric.reset()
    return max(0.0, value)


def _as_rgb_uint8(batch: torch.Tensor) -> torch.Tensor:
    pixels = batch if batch.dtype == torch.uint8 else as_uint8(scaled(batch))
    return pixels.expand(-1, 3, -1, -1)
