"""Residual networks for images of 32 to 128 pixels: a block a doubling of the image's side (Miyato et al. 2018, arXiv
1802.05957, section B.4, with fewer channels where maps are large).

Both networks have n + 2 blocks, n the doublings from the smallest map to the image: 4, 8, 16, ..., S. The smallest side
is S halved as long as that leaves a whole number of at least 4: it is 4 for 32, 64 and 128 pixels, and 7 for 28.

    G   0: z and label -> linear -> 4x4   1..n: residual, twice the side   n + 1: convolution to the image
    D   0..n - 1: residual, half the side   n: residual   n + 1: logit, with the label as a projection

A block doubles or halves the side between its two convolutions, which takes about half of the computing that it takes
before or behind both. Channels at a map of side s: 32 S / s, at most 256, times the width. The anchors are the inner
blocks with maps nearest to 8x8. Normalisation is BatchNorm; in D, spectral normalisation where that is asked for.

Shape legend: B batch, C image channels, S image side, F features, s side of a map.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu

from raygan.nn.blocks import LatentBlock, Networks, before_norm, normed, spectral
from raygan.nn.projection import ProjectionBlock
from raygan.nn.spec import NetworkSpec

SMALLEST, ANCHOR_SIDE = 4, 8
MOST_CHANNELS = 256


class UpBlock(nn.Module):
    """(B, F, s, s) -> (B, F', 2 s, 2 s): the convolved and the plain way, added.

    Whatever its biases add is the same all over a map, so the BatchNorms behind it take it away, on both ways.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList([nn.BatchNorm2d(inputs), nn.BatchNorm2d(outputs)])
        self.convs = nn.ModuleList([before_norm(_conv(inputs, outputs)), before_norm(_conv(outputs, outputs))])
        self.skip = before_norm(nn.Conv2d(inputs, outputs, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, F, s, s) -> (B, F', 2 s, 2 s)."""
        h = self.convs[0](torch.relu(self.norms[0](x)))
        h = interpolate(torch.relu(self.norms[1](h)), scale_factor=2)
        added: Tensor = self.convs[1](h) + interpolate(self.skip(x), scale_factor=2)
        return added


class ToImageBlock(nn.Module):
    """Last generator block: (B, F, S, S) -> images (B, C, S, S)."""

    def __init__(self, inputs: int, channels: int) -> None:
        super().__init__()
        self.norm, self.conv = nn.BatchNorm2d(inputs), _conv(inputs, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Features (B, F, S, S) -> images (B, C, S, S) in [-1, 1]."""
        image: Tensor = torch.tanh(self.conv(torch.relu(self.norm(x))))
        return image


class DownBlock(nn.Module):
    """(B, F, s, s) -> (B, F', s / 2, s / 2), or of the same side.

    Args:
        first: what comes is the image, which is not passed through an activation.
        halves: whether the side becomes half.
    """

    def __init__(self, spec: NetworkSpec, inputs: int, outputs: int, first: bool = False, halves: bool = True) -> None:
        super().__init__()
        self.first, self.halves = first, halves
        convs = [_conv(inputs, outputs), _conv(outputs, outputs)]
        self.convs = nn.ModuleList([nn.Sequential(*normed(conv, spec)) for conv in convs])
        self.skip = spectral(nn.Conv2d(inputs, outputs, 1), spec)

    def forward(self, x: Tensor) -> Tensor:
        """Features or images (B, F, s, s) -> (B, F', s / 2, s / 2)."""
        h = leaky_relu(self.convs[0](x if self.first else leaky_relu(x, 0.2)), 0.2)
        if self.halves:
            h, x = avg_pool2d(h, 2), avg_pool2d(x, 2)
        added: Tensor = self.convs[1](h) + self.skip(x)
        return added


class PooledProjectionBlock(ProjectionBlock):
    """Last discriminator block: the features' mean over the map, then the projection.

    Shapes: (B, F, s, s), labels (B,) -> logits (B,).
    """

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        """Features (B, F, s, s), labels (B,) -> logits (B,)."""
        return super().forward(leaky_relu(x, 0.2).mean((2, 3)), labels)


def residual_networks(spec: NetworkSpec) -> Networks:
    """Both networks for the spec's image side."""
    sides = map_sides(spec.image_size)
    widths = [spec.scaled(min(MOST_CHANNELS, 32 * spec.image_size // side)) for side in sides]
    generator: list[nn.Module] = [LatentBlock(spec, widths[0], sides[0])]
    generator += [UpBlock(inputs, outputs) for inputs, outputs in pairwise(widths)]
    generator.append(ToImageBlock(widths[-1], spec.channels))
    falling = widths[::-1]
    discriminator: list[nn.Module] = [DownBlock(spec, spec.channels, falling[1], first=True)]
    discriminator += [DownBlock(spec, a, b) for a, b in pairwise(falling[1:])]
    discriminator.append(DownBlock(spec, widths[0], widths[0], halves=False))
    discriminator.append(PooledProjectionBlock(spec, widths[0]))
    return Networks(generator, discriminator, _anchor(sides), _anchor([*sides[-2::-1], sides[0]]))


def map_sides(image_size: int) -> list[int]:
    """Sides of the maps, from the smallest to the image's: 4, 8, 16, 32."""
    sides = [image_size]
    while sides[0] % 2 == 0 and sides[0] // 2 >= SMALLEST:
        sides.insert(0, sides[0] // 2)
    return sides


def _anchor(sides: Sequence[int]) -> int:
    """The block, neither the first nor the last, whose map is nearest to 8x8.

    Args:
        sides: of the blocks' maps, without the last block's.
    """
    return min(range(1, len(sides)), key=lambda block: abs(sides[block] - ANCHOR_SIDE))


def _conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)
