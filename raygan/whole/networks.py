"""Both networks of a conditional GAN, whole, with their optimizers: a plain step, and what a checkpoint keeps.

Shapes: images (B, C, S, S) float32 in [-1, 1], labels (B,) int64, z (B, Z).
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from raygan.config.schema import TrainingConfig
from raygan.errors import ConfigError
from raygan.names import NETWORKS, BlockKey, NetworkName
from raygan.nn.blocks import Networks
from raygan.nn.losses import gan_loss
from raygan.nn.network import adam, frozen, gradient_norm, is_finite, load_block_state, run_blocks
from raygan.nn.persistence import load_network_arrays, network_arrays
from raygan.parties.data_owner import Minibatch
from raygan.wire.codec import CPU
from raygan.wire.statistics import Mean, Statistics


@dataclass(frozen=True)
class WholeStep:
    """What a step tells."""

    discriminator_loss: float
    generator_loss: float
    num_images: int
    """Real images used."""
    statistics: Statistics


class WholeNetworks:
    """G and D.

    Args:
        networks: the initial ones; they are left as they are.
        device: where they compute.
    """

    def __init__(self, networks: Networks, training: TrainingConfig, device: torch.device = CPU) -> None:
        self._loss = gan_loss(training.loss)
        self._anchor = networks.discriminator_anchor
        self._maps: deque[Tensor] | None = None
        whole = copy.deepcopy(networks)
        self._networks: dict[NetworkName, list[nn.Module]] = {
            "generator": [block.to(device) for block in whole.generator],
            "discriminator": [block.to(device) for block in whole.discriminator],
        }
        self._optimizers = {
            name: _trained(adam(blocks, training.lr, training.betas), name) for name, blocks in self._networks.items()
        }

    @property
    def blocks(self) -> dict[BlockKey, nn.Module]:
        """Every block of both networks, generator first."""
        return {(name, index): block for name in NETWORKS for index, block in enumerate(self._networks[name])}

    def step(self, batch: Minibatch) -> WholeStep:
        """One D update and one G update.

        D: loss on G(z, y), detached, and on the real images. G: loss on the same fakes through the new D.
        """
        generator, discriminator = self._networks["generator"], self._networks["discriminator"]
        fakes = run_blocks(generator, batch.z, batch.labels)
        of_fakes = run_blocks(discriminator, fakes.detach(), batch.labels)
        of_reals = self._of_reals(discriminator, batch)
        d_loss = self._loss.discriminator(of_fakes, of_reals)
        d_loss.backward()
        d_norm = self._update("discriminator")
        with frozen(discriminator):
            g_loss = self._loss.generator(run_blocks(discriminator, fakes, batch.labels))
            g_loss.backward()
        g_norm = self._update("generator")
        sums = [logits.detach().sigmoid().sum() for logits in (of_reals, of_fakes)]
        found = torch.stack([d_loss.detach(), g_loss.detach(), *sums, d_norm, g_norm]).tolist()
        d_value, g_value, real, fake, *norms = found  # one wait for the device
        statistics = {
            "discriminator_real": Mean(real, len(of_reals)),
            "discriminator_fake": Mean(fake, len(of_fakes)),
            "discriminator_gradient_norm": Mean(norms[0], 1),
            "generator_gradient_norm": Mean(norms[1], 1),
        }
        return WholeStep(d_value, g_value, len(batch.labels), statistics)

    def _of_reals(self, discriminator: list[nn.Module], batch: Minibatch) -> Tensor:
        if self._maps is None:
            return run_blocks(discriminator, batch.images, batch.labels)
        seen = run_blocks(discriminator[: self._anchor + 1], batch.images, batch.labels)
        self._maps.append(seen.detach().mean(0))
        return run_blocks(discriminator[self._anchor + 1 :], seen)

    def observe(self, num_batches: int) -> None:
        """Begins anew to keep the anchor's activation on real images, of so many last minibatches."""
        self._maps = deque(maxlen=num_batches)

    @property
    def anchor_map(self) -> np.ndarray | None:
        """(C, ...), mean over minibatches and their images; None: there was no minibatch."""
        return torch.stack(list(self._maps)).mean(0).cpu().numpy() if self._maps else None

    def _update(self, network: NetworkName) -> Tensor:
        """One optimizer step; the norm of its gradients, which are then forgotten."""
        optimizer = self._optimizers[network]
        norm = gradient_norm(optimizer)
        optimizer.step()
        optimizer.zero_grad()
        return norm

    def is_finite(self) -> bool:
        """Whether all parameters and buffers are finite."""
        return is_finite(self.blocks.values())

    def arrays(self) -> dict[str, np.ndarray]:
        """Networks and optimizers, for a checkpoint."""
        return {
            name: array
            for network, blocks in self._networks.items()
            for name, array in network_arrays(network, dict(enumerate(blocks)), self._optimizers[network]).items()
        }

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """The inverse of `arrays`."""
        for network, blocks in self._networks.items():
            load_network_arrays(network, dict(enumerate(blocks)), self._optimizers[network], arrays)

    def take_over(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Loads a model's networks, `network.block.name`; its optimizers begin anew."""
        for (network, index), block in self.blocks.items():
            prefix = f"{network}.{index}."
            load_block_state(
                block, {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
            )
        for optimizer in self._optimizers.values():
            optimizer.state.clear()


def _trained(optimizer: torch.optim.Optimizer | None, network: NetworkName) -> torch.optim.Optimizer:
    if optimizer is None:
        raise ConfigError("model.blocks", f"the {network} has no parameters", "give it some to train")
    return optimizer
