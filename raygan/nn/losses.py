"""The GAN's losses (README, "What happens in a run"): binary cross-entropy on logits, mean over a client's batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits


def discriminator_loss(fake_logits: Tensor, real_logits: Tensor) -> Tensor:
    """BCE(fake, 0) + BCE(real, 1). Logits (B,) -> scalar."""
    fake = binary_cross_entropy_with_logits(fake_logits, torch.zeros_like(fake_logits))
    real = binary_cross_entropy_with_logits(real_logits, torch.ones_like(real_logits))
    return fake + real


def generator_loss(fake_logits: Tensor) -> Tensor:
    """BCE(fake, 1): the non-saturating loss. Logits (B,) -> scalar."""
    return binary_cross_entropy_with_logits(fake_logits, torch.ones_like(fake_logits))
