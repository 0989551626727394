"""What the scores are computed from: a domain's real images, and images drawn from a generator."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from raygan.errors import InputError
from raygan.evaluation.images import BATCH_SIZE, Images, Labels, as_images, as_labels, image_shape_of, scaled

Sample = Callable[[torch.Tensor], torch.Tensor]
"""A generator: labels, int64 (N,), N <= 500 -> images, float32 (N, C, H, W) in [-1, 1]. It is in evaluation
mode and brings its own z; drawn from torch's global CPU generator, z follows from `score`'s seed."""


class RealDomain:
    """The real images of one domain, checked and in one layout.

    Args:
        train_images, train_labels: what its classifier is trained on, in any form of `as_images` and `as_labels`.
        test_images, test_labels: what generated images are held against; shapes as the training images'.
        num_classes: labels are 0..num_classes-1.

    Raises:
        DataError: images or labels of another form.
        InputError: test images of another shape than the training images.
    """

    def __init__(
        self,
        name: str,
        train_images: Images,
        train_labels: Labels,
        test_images: Images,
        test_labels: Labels,
        num_classes: int,
    ) -> None:
        self.name, self.num_classes = name, num_classes
        self.train_images = as_images(train_images, f"{name}: training images")
        self.test_images = as_images(test_images, f"{name}: test images")
        self.train_labels = as_labels(train_labels, len(self.train_images), num_classes, f"{name}: training labels")
        self.test_labels = as_labels(test_labels, len(self.test_images), num_classes, f"{name}: test labels")
        self.image_shape = image_shape_of(self.train_images)
        self.classes = self.train_labels.unique()
        if (found_shape := image_shape_of(self.test_images)) != self.image_shape:
            found = f"test images {found_shape}, training images {self.image_shape}"
            raise InputError(name, found, "bring them to one shape")


def draw(sample: Sample, real: RealDomain, num_images: int, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Images and labels from a generator, checked, at most 500 at a time.

    Each class comes equally often (up to one), in an order that follows from the seed: mixed, because a generator's
    batch norm or a late batch must not see one class alone. `sample` runs in inference mode, and torch's global CPU
    generator is seeded for it and put back.
    """
    if num_images < 2:
        raise InputError("evaluation.images", f"{num_images}", "ask for at least 2")
    generator_state = torch.Generator().manual_seed(seed).get_state()
    order = torch.randperm(num_images, generator=torch.Generator().manual_seed(seed))
    for labels in real.classes[torch.arange(num_images) % len(real.classes)][order].split(BATCH_SIZE):
        with torch.random.fork_rng(devices=[]), torch.inference_mode():
            torch.set_rng_state(generator_state)
            images = sample(labels)
            generator_state = torch.get_rng_state()
        yield _checked(images, len(labels), real), labels


def _checked(images: torch.Tensor, num_images: int, real: RealDomain) -> torch.Tensor:
    where = f"generator for {real.name}"
    if tuple(images.shape) != (num_images, *real.image_shape):
        found = f"gave images of shape {tuple(images.shape)}"
        raise InputError(where, found, f"make it give {(num_images, *real.image_shape)}")
    if not bool(images.isfinite().all()):
        found = "gave values that are not finite: it has diverged"
        raise InputError(where, found, "lower training.lr or take an earlier round")
    return scaled(as_images(images, where), where)
