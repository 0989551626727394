"""One data owner with both networks, whole: a plain conditional GAN on its own images.

Shapes: images (B, C, S, S) float32 in [-1, 1], labels (B,) int64, z (B, Z).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn

from raygan.config.schema import Config
from raygan.names import NETWORKS, BlockKey, NetworkName
from raygan.nn.blocks import Networks
from raygan.nn.losses import gan_loss
from raygan.nn.network import adam, block_state, frozen, is_finite, load_block_state, run_blocks
from raygan.nn.persistence import load_network_arrays, network_arrays
from raygan.nn.spec import NetworkSpec
from raygan.parties.data_owner import DataOwner
from raygan.parties.layout import ClientPlan
from raygan.wire.codec import CPU
from raygan.wire.records import BlockAverage


class WholeClient:
    """One client.

    Args:
        networks: the initial ones; they are left as they are.
        device: where it computes.
        again: it takes the place of a lost one, so data that cannot be read is a fault of its own.

    Raises:
        DataError: data that cannot be read, the first time.
    """

    def __init__(
        self,
        plan: ClientPlan,
        networks: Networks,
        spec: NetworkSpec,
        config: Config,
        device: torch.device = CPU,
        again: bool = False,
    ) -> None:
        training = config.training
        self.owner = DataOwner(plan.client, plan.data, training, config.seed, spec.latent_size, device, again)
        self._loss = gan_loss(training.loss)
        whole = copy.deepcopy(networks)
        self._networks: dict[NetworkName, list[nn.Module]] = {
            "generator": [block.to(device) for block in whole.generator],
            "discriminator": [block.to(device) for block in whole.discriminator],
        }
        self._optimizers = {
            name: adam(blocks, training.lr, training.betas) for name, blocks in self._networks.items()
        }

    @property
    def _blocks(self) -> dict[BlockKey, nn.Module]:
        return {(name, index): block for name in NETWORKS for index, block in enumerate(self._networks[name])}

    def step(self, number: int) -> tuple[float, float, int]:
        """One D update and one G update on a minibatch of its own: both losses, and the real images used.

        D: loss on G(z, y), detached, and on the real images. G: loss on the same fakes through the new D.
        """
        batch = self.owner.minibatch(number)
        generator, discriminator = self._networks["generator"], self._networks["discriminator"]
        fakes = run_blocks(generator, batch.z, batch.labels)
        of_fakes = run_blocks(discriminator, fakes.detach(), batch.labels)
        of_reals = run_blocks(discriminator, batch.images, batch.labels)
        d_loss = self._loss.discriminator(of_fakes, of_reals)
        d_loss.backward()
        self._update("discriminator")
        with frozen(discriminator):
            g_loss = self._loss.generator(run_blocks(discriminator, fakes, batch.labels))
            g_loss.backward()
        self._update("generator")
        return d_loss.item(), g_loss.item(), len(batch.labels)

    def _update(self, network: NetworkName) -> None:
        optimizer = self._optimizers[network]
        if optimizer is not None:
            optimizer.step()
            optimizer.zero_grad()

    def networks(self) -> list[BlockAverage]:
        """Every block of both networks, generator first."""
        return [BlockAverage(key, block_state(block)) for key, block in self._blocks.items()]

    def is_finite(self) -> bool:
        """Whether all parameters and buffers are finite."""
        return is_finite(self._blocks.values())

    def arrays(self) -> dict[str, np.ndarray]:
        """Networks and optimizers, for a checkpoint."""
        return {
            name: array
            for network, blocks in self._networks.items()
            for name, array in network_arrays(
                network, dict(enumerate(blocks)), self._optimizers[network]
            ).items()
        }

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """The inverse of `arrays`."""
        for network, blocks in self._networks.items():
            load_network_arrays(network, dict(enumerate(blocks)), self._optimizers[network], arrays)

    def take_over(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Loads a model's networks, `network.block.name`; its optimizers begin anew."""
        for (network, index), block in self._blocks.items():
            prefix = f"{network}.{index}."
            load_block_state(
                block, {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
            )
        for optimizer in self._optimizers.values():
            if optimizer is not None:
                optimizer.state.clear()
