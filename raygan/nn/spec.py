"""What the networks must fit. Free of torch, so that an aggregator or a driver may hold it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkSpec:
    """What the networks must fit."""

    image_size: int
    """S, pixels."""
    channels: int
    """C."""
    num_classes: int
    """M."""
    width: float = 1.0
    """Scales the paper's channel counts (at least one channel stays)."""
    latent_size: int = 100
    """Z."""
    label_embedding_size: int = 10
    """Entries of the generator's label embedding."""
    spectral_norm: bool = False
    """Whether D's layers are normalised by their largest singular value, in place of BatchNorm."""
    networks: str = "paper"
    """Which networks: a name, or an import path `package.module:function`."""
    group_norm: bool = False
    """Whether D's BatchNorm gives way to GroupNorm, so that no image's gradient depends on another's."""

    def scaled(self, num_channels: int) -> int:
        """The paper's channel count times `width`."""
        return max(1, round(num_channels * self.width))
