"""Data owners with both networks, whole: plain conditional GANs on their own images, and those of one actor.

Shapes: images (B, C, S, S) float32 in [-1, 1], labels (B,) int64, z (B, Z).
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from raygan.config.schema import Config
from raygan.errors import ConfigError
from raygan.names import NETWORKS, BlockKey, NetworkName
from raygan.nn.blocks import Networks
from raygan.nn.losses import gan_loss
from raygan.nn.network import (
    adam,
    block_state,
    build_networks,
    frozen,
    gradient_norm,
    is_finite,
    load_block_state,
    run_blocks,
)
from raygan.nn.persistence import load_network_arrays, network_arrays
from raygan.nn.spec import NetworkSpec
from raygan.parties.clients import HostedClients
from raygan.parties.data_owner import DataOwner
from raygan.parties.layout import ClientPlan, WorkerPlan
from raygan.randomness import torch_seed
from raygan.wire.codec import CPU
from raygan.wire.records import BlockAverage, StepId, StepReport
from raygan.wire.statistics import Mean, Statistics, merged


@dataclass(frozen=True)
class WholeStep:
    """What a client tells of a step."""

    discriminator_loss: float
    generator_loss: float
    num_images: int
    """Real images used."""
    statistics: Statistics


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
            name: _trained(adam(blocks, training.lr, training.betas), name) for name, blocks in self._networks.items()
        }

    @property
    def blocks(self) -> dict[BlockKey, nn.Module]:
        """Every block of both networks, generator first."""
        return {(name, index): block for name in NETWORKS for index, block in enumerate(self._networks[name])}

    def step(self, number: int) -> WholeStep:
        """One D update and one G update on a minibatch of its own.

        D: loss on G(z, y), detached, and on the real images. G: loss on the same fakes through the new D.
        """
        batch = self.owner.minibatch(number)
        generator, discriminator = self._networks["generator"], self._networks["discriminator"]
        fakes = run_blocks(generator, batch.z, batch.labels)
        of_fakes = run_blocks(discriminator, fakes.detach(), batch.labels)
        of_reals = run_blocks(discriminator, batch.images, batch.labels)
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

    def _update(self, network: NetworkName) -> Tensor:
        """One optimizer step; the norm of its gradients, which are then forgotten."""
        optimizer = self._optimizers[network]
        norm = gradient_norm(optimizer)
        optimizer.step()
        optimizer.zero_grad()
        return norm

    def networks(self) -> list[BlockAverage]:
        """Every block of both networks, generator first."""
        return [BlockAverage(key, block_state(block)) for key, block in self.blocks.items()]

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


class WholeClients(HostedClients[WholeClient]):
    """One or several clients that hold both networks whole. All begin with the networks of the run's seed.

    Args:
        device: where its clients compute.
        again: it takes the place of a lost one.
    """

    def __init__(
        self,
        plan: WorkerPlan[ClientPlan],
        spec: NetworkSpec,
        config: Config,
        device: torch.device = CPU,
        again: bool = False,
    ) -> None:
        self.plan = plan
        networks = build_networks(spec, config.model.blocks, torch_seed(config.seed, "networks"))
        super().__init__({p.client: WholeClient(p, networks, spec, config, device, again) for p in plan.clients})

    def train(self, step: StepId) -> StepReport:
        """One step of every client that takes part. One whose loss is not finite is found when it checks in."""
        started = time.perf_counter()
        steps = {n: client.step(step.step) for n, client in self._taking_part(step.step).items()}
        return StepReport(
            step=step,
            discriminator_loss={n: one.discriminator_loss for n, one in steps.items()},
            generator_loss={n: one.generator_loss for n, one in steps.items()},
            num_images=sum(one.num_images for one in steps.values()),
            seconds={"train": time.perf_counter() - started},
            bytes_sent=0,
            bytes_received=0,
            faults=tuple(
                f"client-{n:02d}: its loss is not finite"
                for n, one in steps.items()
                if not math.isfinite(one.discriminator_loss + one.generator_loss)
            ),
            worker=self.plan.worker,
            statistics=merged(one.statistics for one in steps.values()),
        )

    def networks(self) -> list[BlockAverage]:
        """Every block of each client's networks, client after client: for whom they are meant, scores and samples."""
        return [block for client in self._clients.values() for block in client.networks()]
