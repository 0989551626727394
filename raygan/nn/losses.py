"""The GAN's losses, by name: each is a pair of functions of D's logits, mean over a client's batch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, relu

from raygan.config.choices import LOSSES, chosen


@dataclass(frozen=True)
class GanLoss:
    """The two losses of a GAN. Logits (B,) -> scalar."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    """Of D's logits on fakes and on reals."""
    generator: Callable[..., Tensor]
    """Of D's logits on fakes; where it is relative, of those on reals too."""
    is_relative: bool = False
    """Whether G's loss compares fakes with reals: with D's logits on them in its own update just before, so that no image
    has to go through D, nor anything across a cut, once more."""

    def of_generator(self, fake_logits: Tensor, real_logits: Tensor | None) -> Tensor:
        """G's loss.

        Args:
            real_logits: of D's update, without a graph; needed where the loss is relative.
        """
        return self.generator(fake_logits, real_logits) if self.is_relative else self.generator(fake_logits)


def gan_loss(name: str) -> GanLoss:
    """The loss of that name (`training.loss`)."""
    return cast(GanLoss, chosen(LOSSES, name))


def discriminator_loss(fake_logits: Tensor, real_logits: Tensor) -> Tensor:
    """BCE(fake, 0) + BCE(real, 1). Logits (B,) -> scalar."""
    fake = binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
    real = binary_cross_entropy_with_logits(real_logits, torch.ones_like(real_logits))
    return fake + real


def generator_loss(fake_logits: Tensor) -> Tensor:
    """BCE(fake, 1): the non-saturating loss. Logits (B,) -> scalar."""
    return binary_cross_entropy_with_logits(fake_logits, torch.ones_like(fake_logits))


BCE = GanLoss(discriminator_loss, generator_loss)
"""The paper's: binary cross-entropy on logits."""


def hinge_discriminator_loss(fake_logits: Tensor, real_logits: Tensor) -> Tensor:
    """Mean max(0, 1 + fake) + mean max(0, 1 - real). Logits (B,) -> scalar."""
    return relu(1 + fake_logits).mean() + relu(1 - real_logits).mean()


def hinge_generator_loss(fake_logits: Tensor) -> Tensor:
    """-mean fake. Logits (B,) -> scalar."""
    return -fake_logits.mean()


HINGE = GanLoss(hinge_discriminator_loss, hinge_generator_loss)
"""The hinge loss (Lim and Ye 2017, arXiv 1705.02894)."""


def relativistic_discriminator_loss(fake_logits: Tensor, real_logits: Tensor) -> Tensor:
    """BCE(real - mean fake, 1) + BCE(fake - mean real, 0). Logits (B,), (B',) -> scalar."""
    return discriminator_loss(fake_logits - real_logits.mean(), real_logits - fake_logits.mean())


def relativistic_generator_loss(fake_logits: Tensor, real_logits: Tensor) -> Tensor:
    """BCE(fake - mean real, 1) + BCE(real - mean fake, 0). Logits (B,), (B',) -> scalar."""
    return discriminator_loss(real_logits - fake_logits.mean(), fake_logits - real_logits.mean())


RELATIVISTIC = GanLoss(relativistic_discriminator_loss, relativistic_generator_loss, is_relative=True)
"""The relativistic average loss (Jolicoeur-Martineau 2018, arXiv 1807.00734)."""


def gradient_penalty(logits: Tensor, images: Tensor) -> Tensor:
    """1/2 mean over images of |d logit / d image|^2 (R1: Mescheder, Geiger, Nowozin 2018, arXiv 1801.04406).

    Args:
        logits: (B,), with the graph from the images.
        images: (B, C, S, S), which need gradients.
    """
    (gradients,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradients.square().sum((1, 2, 3)).mean() / 2
