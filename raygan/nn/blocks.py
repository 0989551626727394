"""The paper's generator and discriminator as ordered lists of blocks (arXiv 2507.12979).

Shape legend: B batch, C image channels, S image side (divisible by 4), Z latent entries, M class count.
A block is one main layer with its norm and activation. It is called with what the block before it returned, and
with the labels as well if it says so (`takes_labels = True`):

    generator block 0        z (B, Z) float, labels (B,) int64
    generator last block     returns images (B, C, S, S) in [-1, 1]
    discriminator block 0    images (B, C, S, S) in [-1, 1], and labels (B,) int64 if it takes them
    discriminator last block returns logits (B,); may take labels (B,) int64 too

Labels stay on the client, so only blocks that are always there may take them: the first of each network and D's last.
Where no block of D says anything, its first takes them.

Networks of your own follow the same rule: a function `(NetworkSpec) -> Networks`, named by its import path
in `model.networks`. Nothing else in raygan knows what a block holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from raygan.names import NETWORKS, BlockKey
from raygan.nn.spec import NetworkSpec

LayerT = TypeVar("LayerT", bound=nn.Module)


@dataclass(frozen=True)
class Networks:
    """Both networks as lists of blocks, and the block of each that always stays on the server."""

    generator: list[nn.Module]
    discriminator: list[nn.Module]
    generator_anchor: int = 2
    discriminator_anchor: int = 2
    """The block whose activations are clustered."""

    @property
    def blocks(self) -> dict[BlockKey, nn.Module]:
        """All blocks by key, generator first."""
        networks = zip(NETWORKS, (self.generator, self.discriminator), strict=True)
        return {(name, index): block for name, network in networks for index, block in enumerate(network)}


def takes_labels(block: nn.Module) -> bool:
    """Whether a block is called with the labels as well."""
    return bool(getattr(block, "takes_labels", False))


def with_labels(block: nn.Module) -> nn.Module:
    """The same block, which is called with the labels from now on."""
    vars(block)["takes_labels"] = True
    return block


class LatentBlock(nn.Module):
    """Generator block 0: z and the label's embedding, a linear layer, a small map (B, features, side, side).

    Args:
        side: of the map; None: a quarter of the image's.
    """

    takes_labels = True

    def __init__(self, spec: NetworkSpec, features: int, side: int | None = None) -> None:
        super().__init__()
        self.side = side or spec.image_size // 4
        outputs = features * self.side**2
        self.embedding = nn.Embedding(spec.num_classes, spec.label_embedding_size)
        self.linear = before_norm(nn.Linear(spec.latent_size + spec.label_embedding_size, outputs))
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        """Latents (B, Z), labels (B,) -> (B, features, side, side)."""
        x = torch.cat([z, self.embedding(labels)], dim=1)
        x = torch.relu(self.norm(self.linear(x)))
        features: Tensor = x.unflatten(1, (-1, self.side, self.side))
        return features


class ImageBlock(nn.Module):
    """Discriminator block 0: the label as one more image plane, then a strided convolution."""

    takes_labels = True

    def __init__(self, spec: NetworkSpec, features: int) -> None:
        super().__init__()
        self.side = spec.image_size
        self.embedding = nn.Embedding(spec.num_classes, spec.image_size**2)
        convolution = nn.Conv2d(spec.channels + 1, features, 4, stride=2, padding=1)
        self.conv, *norm = normed(convolution, spec)
        self.norm = norm[0] if norm else nn.Identity()

    def forward(self, images: Tensor, labels: Tensor) -> Tensor:
        """Images (B, C, S, S), labels (B,) -> (B, features, S / 2, S / 2)."""
        plane = self.embedding(labels).unflatten(1, (1, self.side, self.side))
        x = self.norm(self.conv(torch.cat([images, plane], dim=1)))
        return nn.functional.leaky_relu(x, 0.2)


class LogitBlock(nn.Sequential):
    """Last discriminator block: (B, features, s, s) -> logits (B,)."""

    def __init__(self, features: int, spec: NetworkSpec | None = None) -> None:
        linear = nn.Linear(features, 1)
        super().__init__(nn.Flatten(1), linear if spec is None else spectral(linear, spec), nn.Flatten(0))


def spectral(layer: LayerT, spec: NetworkSpec) -> LayerT:
    """A layer of D, spectrally normalised where the spec asks for it (Miyato et al. 2018, arXiv 1802.05957)."""
    if spec.spectral_norm:
        spectral_norm(layer)
    return layer


def before_norm(layer: LayerT) -> LayerT:
    """A layer with BatchNorm behind it, which takes away whatever its bias adds: the bias stays what it is, since its
    gradient is 0 but for rounding."""
    if isinstance(layer.bias, nn.Parameter):
        layer.bias.requires_grad_(False)
    return layer


def normed(convolution: nn.Conv2d, spec: NetworkSpec) -> list[nn.Module]:
    """A convolution of D with BatchNorm behind it (GroupNorm: `with_group_norm`), or spectrally normalised."""
    if spec.spectral_norm:
        return [spectral(convolution, spec)]
    norm = nn.BatchNorm2d(convolution.out_channels)
    return [convolution if spec.group_norm else before_norm(convolution), norm]


def _up(inputs: int, outputs: int, kernel: int, stride: int) -> nn.Module:
    convolution = before_norm(nn.ConvTranspose2d(inputs, outputs, kernel, stride, padding=1))
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())


def down(spec: NetworkSpec, inputs: int, outputs: int, kernel: int, stride: int) -> nn.Module:
    """A convolution of D, its norm, leaky ReLU: (B, inputs, s, s) -> (B, outputs, ~s / stride, ~s / stride)."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding=1)
    return nn.Sequential(*normed(convolution, spec), nn.LeakyReLU(0.2))


def paper_networks(spec: NetworkSpec) -> Networks:
    """The paper's networks: five blocks each, anchor block 2 in both."""
    c64, c128, c256 = (spec.scaled(n) for n in (64, 128, 256))
    last = nn.Sequential(nn.ConvTranspose2d(c64, spec.channels, 3, 1, padding=1), nn.Tanh())
    generator = [
        LatentBlock(spec, c256),
        _up(c256, c128, 4, 2),
        _up(c128, c128, 3, 1),
        _up(c128, c64, 4, 2),
        last,
    ]
    discriminator = [
        ImageBlock(spec, c64),
        down(spec, c64, c128, 4, 2),
        down(spec, c128, c128, 3, 1),
        down(spec, c128, c256, 4, 2),
        LogitBlock(c256 * (spec.image_size // 8) ** 2, spec),
    ]
    return Networks(generator, discriminator)
