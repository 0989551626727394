"""Noise on an activation before it is sent: each sample's is clipped to a scale, and Gaussian noise is added.

An activation a has d entries; its size is the root mean square of them, r(a) = |a| / sqrt(d), so that the same strength s
means the same at every cut. With the scale S, a moving mean of sizes, and one standard normal number n_i for each entry:

    a' = S (u + s n),   u = a / S / max(1, r(a / S))

It is no differential privacy: S follows from the images, and the same image is sent again in every epoch, with new noise.
"""

from __future__ import annotations

import torch
from torch import Tensor

MOMENTUM = 0.9
"""Share of the scale that stays when a step's sizes are taken in."""
TINY = 1e-12


def sizes(x: Tensor) -> Tensor:
    """(B, ...) -> (B,): each sample's root mean square."""
    return x.flatten(1).square().mean(1).sqrt()


def followed(scale: Tensor | None, *activations: Tensor) -> Tensor:
    """The scale with a step's activations taken in, a scalar: their mean size at first, then a moving mean. Sizes that
    are not finite, and those of zeros alone, leave it as it is."""
    found = torch.cat([sizes(x.detach()) for x in activations]).mean()
    moved = found if scale is None else MOMENTUM * scale + (1 - MOMENTUM) * found
    known = torch.ones_like(found) if scale is None else scale
    return torch.where(found.isfinite() & (found > 0), moved, known)


def disturbed(x: Tensor, scale: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    """What is sent, a', of activations (B, ...). Gradients pass through the clipping.

    Args:
        scale: S, a scalar.
        strength: s, in units of S.
        generator: on the CPU, so that the noise is the same on every device.
    """
    norm = x.flatten(1).square().mean(1).clamp(min=TINY).sqrt()
    share = (scale / norm).clamp(max=1).reshape(-1, *[1] * (x.dim() - 1))
    noise = torch.randn(x.shape, generator=generator).to(x.device)
    return share * x + strength * scale * noise
