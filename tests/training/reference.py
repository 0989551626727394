"""The same networks, unsplit, trained in one process: the oracle of the split step."""

from __future__ import annotations

import torch

from raygan.actors.layout import ClientPlan
from raygan.config import Config
from raygan.data import load_client
from raygan.nn.losses import discriminator_loss, generator_loss
from raygan.nn.network import adam, build_networks, frozen, run_blocks
from raygan.nn.spec import NetworkSpec
from raygan.randomness import stream, torch_seed


class Unsplit:
    """One client's steps on whole networks."""

    def __init__(self, plan: ClientPlan, spec: NetworkSpec, config: Config) -> None:
        networks = build_networks(spec, None, torch_seed(config.seed, "networks"))
        self.generator, self.discriminator = networks.generator, networks.discriminator
        training = config.training
        self._optimizers = [
            adam(blocks, training.lr, training.betas) for blocks in (self.generator, self.discriminator)
        ]
        self._data, self._latent_size = load_client(plan.data), spec.latent_size
        self._batches = self._data.epoch_batches(
            stream(config.seed, "batches", 0, plan.client), training.batch_size
        )
        self._latent = torch.Generator().manual_seed(torch_seed(config.seed, "latent", 0, plan.client))

    def step(self, number: int) -> tuple[float, float]:
        """One D update and one G update; both losses."""
        images, labels = (torch.from_numpy(a) for a in self._data.batch(self._batches[number]))
        fakes = run_blocks(
            self.generator, torch.randn(len(labels), self._latent_size, generator=self._latent), labels
        )
        fake_logits = run_blocks(self.discriminator, fakes.detach(), labels)
        d_loss = discriminator_loss(fake_logits, run_blocks(self.discriminator, images, labels))
        self._update(1, d_loss)
        with frozen(self.discriminator):
            g_loss = generator_loss(run_blocks(self.discriminator, fakes, labels))
            self._update(0, g_loss)
        return d_loss.item(), g_loss.item()

    def _update(self, which: int, loss: torch.Tensor) -> None:
        loss.backward()
        self._optimizers[which].step()
        self._optimizers[which].zero_grad()
