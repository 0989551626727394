"""Both networks of a conditional GAN, whole, with their optimizers: a plain step, and what a checkpoint keeps.

Shapes: images (B, C, S, S) float32 in [-1, 1], labels (B,) int64, z (B, Z).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from raygan.config.privacy import DpConfig
from raygan.config.schema import TrainingConfig
from raygan.names import NETWORKS, BlockKey
from raygan.nn.blocks import Networks
from raygan.nn.private import discriminator_of
from raygan.nn.trained import TrainedNetwork, states_in
from raygan.parties.data_owner import Minibatch
from raygan.parties.reports import ClientStep
from raygan.wire.codec import CPU
from raygan.wire.statistics import Mean


class WholeNetworks:
    """G and D.

    Args:
        networks: the initial ones; they are left as they are.
        device: where they compute.
        dp: how D is kept private; None: it is not.
    """

    def __init__(
        self, networks: Networks, training: TrainingConfig, device: torch.device = CPU, dp: DpConfig | None = None
    ) -> None:
        self.generator = TrainedNetwork("generator", networks.generator, training, device)
        anchor = networks.discriminator_anchor
        self.discriminator = discriminator_of(networks.discriminator, anchor, training, device, dp)

    @property
    def blocks(self) -> dict[BlockKey, nn.Module]:
        """Every block of both networks, generator first, then the average's: as `with_averages` has their keys."""
        blocks = self.generator.blocks | self.discriminator.blocks
        return dict(sorted(blocks.items(), key=lambda item: item[0][0] == "average"))

    def begin_round(self, round_number: int) -> None:
        """Sets the round's learning rates."""
        self.generator.begin_round(round_number)
        self.discriminator.begin_round(round_number)

    def step(self, batch: Minibatch) -> ClientStep:
        """One D update and one G update.

        D: loss on G(z, y), detached, and on the real images. G: loss on the same fakes through the new D. All that D
        sees goes through the step's transform.
        """
        transform, fake_labels = batch.transform, batch.fake_labels
        fakes = self.generator(batch.z, fake_labels)
        reals = transform(batch.images), batch.labels
        update = self.discriminator.learn(transform(fakes.detach()), fake_labels, *reals, batch.noise)
        g_loss = self.discriminator.generator_loss(transform(fakes), fake_labels)
        g_loss.backward()
        g_norm = self.generator.update()
        found = torch.stack([*update.scalars, g_loss.detach(), g_norm]).tolist()  # one wait for the device
        d_value, of_reals, of_fakes, d_norm, g_value, norm = found
        statistics = update.statistics(of_reals, of_fakes, d_norm) | {"generator_gradient_norm": Mean(norm, 1)}
        return ClientStep(d_value, g_value, len(batch.z), statistics)

    def is_finite(self) -> bool:
        """Whether all parameters and buffers are finite."""
        return self.generator.is_finite() and self.discriminator.is_finite()

    def arrays(self) -> dict[str, np.ndarray]:
        """Networks and optimizers, for a checkpoint."""
        return self.generator.arrays() | self.discriminator.arrays()

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """The inverse of `arrays`."""
        self.generator.restore(arrays)
        self.discriminator.restore(arrays)

    def take_over(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Loads a model's networks, `network.block.name`; its optimizers begin anew."""
        states = states_in(arrays, *NETWORKS, "average")
        for network in (self.generator, self.discriminator):
            network.take_over(states)
