"""What a client does to its D head so that its activations tell less of its images (`privacy.distance_correlation`,
`privacy.activation_noise`)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from raygan.config.privacy import PrivacyConfig
from raygan.nn.correlation import distance_correlation
from raygan.nn.disturbance import disturbed, followed
from raygan.nn.vmapped import Tensors
from raygan.randomness import torch_seed
from raygan.wire.codec import CPU

SCALE = "activation_scale"


class HeadDefence:
    """One client's. Its noise follows from (seed, round, client, step).

    Args:
        device: where the client's activations are.
    """

    def __init__(self, privacy: PrivacyConfig, seed: int, client: int, device: torch.device = CPU) -> None:
        self._weight, self._strength = privacy.distance_correlation, privacy.activation_noise
        self._seed, self._client, self._device = seed, client, device
        self._draw = torch.Generator()
        self.scale: Tensor | None = None
        """Of its activations; None: none has been sent."""

    def begin_step(self, round_number: int, step: int) -> None:
        """Seeds the step's noise."""
        if self._strength:
            self._draw.manual_seed(torch_seed(self._seed, "activation_noise", round_number, self._client, step))

    def follow(self, activations: Tensors) -> None:
        """Takes a step's activations, of D's update, into the scale."""
        if self._strength:
            self.scale = followed(self.scale, *activations)

    def sent(self, activation: Tensor) -> Tensor:
        """What is sent in place of an activation (B, ...): itself, or clipped and with noise."""
        if not self._strength:
            return activation
        assert self.scale is not None, "a step follows before it sends"
        return disturbed(activation, self.scale, self._strength, self._draw)

    def penalty(self, images: Tensor, activation: Tensor) -> Tensors:
        """What is to be differentiated beside D's loss, if anything: w times the distance correlation of images
        (B, C, S, S) and what D's head makes of them (NoPeek: Vepakomma, Singh, Gupta, Raskar 2020, arXiv 2008.09161)."""
        return (self._weight * distance_correlation(images, activation),) if self._weight else ()

    def forget(self) -> None:
        """The next step's activations are the first."""
        self.scale = None

    def arrays(self) -> dict[str, np.ndarray]:
        """What a resumed client needs."""
        return {} if self.scale is None else {SCALE: self.scale.cpu().numpy().copy()}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """The inverse of `arrays`."""
        kept = arrays.get(SCALE) if self._strength else None
        self.scale = None if kept is None else torch.from_numpy(np.array(kept)).to(self._device)
