"""The usual FID, on Inception's features (`raygan/evaluation/frechet.py`), where its weights are at hand."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch

from raygan.evaluation.frechet import FrechetDistance
from raygan.evaluation.images import as_uint8, scaled
from raygan.evaluation.scores.state import Batch, Reference

INCEPTION_WEIGHTS = "weights-inception-2015-12-05-6726825d.pth"
"""The file that torch-fidelity keeps in torch hub's checkpoint folder."""
INCEPTION_BATCH_SIZE = 32
"""299x299 pixels each: Inception's activations are large."""
POOL_FEATURES = 2048


class InceptionFid:
    """The distance of generated images to the real test images; warns, and has no value, where Inception is missing.

    Nothing is downloaded. Slow on CPUs: about a tenth of a second an image. Grey images are repeated over the three
    colour channels.
    """

    def __init__(self, reference: Reference, seed: int) -> None:
        self._distance = None
        if reason := why_no_inception():
            warnings.warn(reason, stacklevel=2)
        else:
            self._distance = FrechetDistance(POOL_FEATURES)
            _add(self._distance, reference.real.test_images, real=True)

    def update(self, batch: Batch) -> None:
        """Adds images."""
        assert batch.images is not None
        if self._distance is not None:
            _add(self._distance, batch.images, real=False)

    def merge(self, other: InceptionFid) -> None:
        """Adds the sums over generated images; the real ones are the same."""
        if self._distance is not None and other._distance is not None:
            self._distance.merge(other._distance)

    def compute(self) -> float | None:
        """The distance, >= 0, float32 precision; None where `why_no_inception` gives a reason."""
        return None if self._distance is None else self._distance.compute()


def why_no_inception() -> str | None:
    """What the Inception FID lacks here, as one line for a warning; None: nothing."""
    if importlib.util.find_spec("torch_fidelity") is None:
        return "Inception FID is skipped: torch-fidelity is not installed; pip install torch-fidelity"
    weights = Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_WEIGHTS
    if not weights.is_file():
        return f"Inception FID is skipped: {weights} is missing; put torch-fidelity's weights there"
    return None


def inception_features(distance: FrechetDistance, images: torch.Tensor) -> torch.Tensor:
    """What Inception makes of images in the forms of `as_images`: (N, F)."""
    return torch.cat([distance.features(pixels) for pixels in _batches(images)])


def _add(distance: FrechetDistance, images: torch.Tensor, real: bool) -> None:
    for pixels in _batches(images):
        distance.add(pixels, real=real)


def _batches(images: torch.Tensor) -> Iterator[torch.Tensor]:
    """uint8 (N, 3, H, W)."""
    for batch in images.split(INCEPTION_BATCH_SIZE):
        pixels = batch if batch.dtype == torch.uint8 else as_uint8(scaled(batch))
        yield pixels.expand(-1, 3, -1, -1)
