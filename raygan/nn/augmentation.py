"""Differentiable augmentation of all that D sees, on the client (DiffAugment: Zhao et al. 2020, arXiv 2006.10738).

One T is drawn for each client and step, its numbers another for each image. Fakes and reals go through T in D's update,
and the same fakes through the same T in G's, where gradients pass it: D never sees an image without T, and what T does
is nothing that G has to learn.

Shape legend: B batch, C channels, S image side. Images are float32 in [-1, 1] before T, and may be beyond that after it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from raygan.config.choices import AUGMENTATIONS, chosen

SHIFT, CUT_OUT = 1 / 8, 1 / 2
"""Of the image's side: the farthest translation, and the side of what is cut out."""


@dataclass(frozen=True)
class Augmentation:
    """One kind."""

    num_draws: int
    """P: numbers that it needs for an image, each uniform in [0, 1)."""
    apply: Callable[[Tensor, Tensor], Tensor]
    """Images (B, C, S, S) and numbers (B, P) -> images (B, C, S, S)."""


def shift(images: Tensor, draws: Tensor) -> Tensor:
    """Moves each image by up to an eighth of its side, rows and columns; what comes in is 0.

    Args:
        draws: (B, 2).
    """
    side = images.shape[-1]
    farthest = int(side * SHIFT + 0.5)
    by = (draws * (2 * farthest + 1)).long() - farthest
    for dim, moved in ((2, by[:, 0]), (3, by[:, 1])):
        source = torch.arange(side, device=images.device) - moved[:, None]
        inside = (source >= 0) & (source < side)
        form = [len(images), 1, side, 1] if dim == 2 else [len(images), 1, 1, side]
        index = (source % side).view(form).expand_as(images)
        images = torch.gather(images, dim, index) * inside.view(form)
    return images


def cut_out(images: Tensor, draws: Tensor) -> Tensor:
    """Sets a square to 0 whose side is half of the image's and whose middle is anywhere in it.

    Args:
        draws: (B, 2).
    """
    side = images.shape[-1]
    size = int(side * CUT_OUT + 0.5)
    first = (draws * side).long() - size // 2
    places = torch.arange(side, device=images.device)
    rows, columns = ((places >= one[:, None]) & (places < one[:, None] + size) for one in first.unbind(1))
    return images * ~(rows[:, None, :, None] & columns[:, None, None, :])


def recolour(images: Tensor, draws: Tensor) -> Tensor:
    """Brightness by up to 0.5 up or down, saturation times 0 to 2, contrast times 0.5 to 1.5.

    Args:
        draws: (B, 3), in this order.
    """
    brightness, saturation, contrast = (one.view(-1, 1, 1, 1) for one in draws.unbind(1))
    images = images + (brightness - 0.5)
    grey = images.mean(1, keepdim=True)
    images = (images - grey) * (2 * saturation) + grey
    mean = images.mean((1, 2, 3), keepdim=True)
    return (images - mean) * (contrast + 0.5) + mean


TRANSLATION = Augmentation(2, shift)
CUTOUT = Augmentation(2, cut_out)
COLOUR = Augmentation(3, recolour)


@dataclass(frozen=True)
class Transform:
    """T of one step: augmentations by name, one after the other."""

    names: tuple[str, ...] = ()
    draws: tuple[Tensor, ...] = ()
    """Of each of them (B, P), for the most images that may come."""

    def __call__(self, images: Tensor) -> Tensor:
        """Images (B', C, S, S), B' <= B, of which the first gets the first row's numbers."""
        for name, draws in zip(self.names, self.draws, strict=True):
            images = _augmentation(name).apply(images, draws[: len(images)])
        return images


IDENTITY = Transform()


def draw_transform(names: Sequence[str], num_images: int, seed: int, device: torch.device | None = None) -> Transform:
    """T for up to so many images; its numbers are drawn on the CPU, so that they are the same on every device."""
    if not names:
        return IDENTITY
    source = torch.Generator().manual_seed(seed)
    draws = [torch.rand(num_images, _augmentation(name).num_draws, generator=source) for name in names]
    return Transform(tuple(names), tuple(one.to(device) for one in draws))


def merged_transform(transforms: Sequence[Transform], num_images: Sequence[int]) -> Transform:
    """T of several batches as one, each with so many images; the names are everybody's."""
    parts = zip(*(t.draws for t in transforms), strict=True)
    draws = [torch.cat([d[:n] for d, n in zip(part, num_images, strict=True)]) for part in parts]
    return Transform(transforms[0].names, tuple(draws))


def _augmentation(name: str) -> Augmentation:
    return cast(Augmentation, chosen(AUGMENTATIONS, name))
