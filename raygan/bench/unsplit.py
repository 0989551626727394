"""The limit: the same networks, unsplit, trained in one process on the same total batch.

All clients' minibatches are one batch, so BatchNorm sees one merged batch in every block, as the body's
blocks do. Fakes and reals go through D as separate passes, one D update and one G update a step.
"""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor

from raygan.bench.contenders import Slice
from raygan.config.schema import Config
from raygan.data import load_client
from raygan.nn.augmentation import draw_transform
from raygan.nn.losses import gan_loss
from raygan.nn.network import adam, frozen, run_blocks
from raygan.nn.start import initial_networks
from raygan.randomness import stream, torch_seed
from raygan.split.layout import Layout


class Unsplit:
    """G and D as they are, over the images of all clients together.

    Args:
        threads: of torch.
    """

    def __init__(self, layout: Layout, config: Config, threads: int) -> None:
        self._config, self._latent_size = config, layout.spec.latent_size
        self._threads, self._round = threads, 0
        networks = initial_networks(layout.spec, config)
        self.generator, self.discriminator = networks.generator, networks.discriminator
        training = config.training
        self._loss = gan_loss(training.loss)
        self._generator_optimizer = adam(self.generator, training.lr_of("generator"), training.betas)
        self._discriminator_optimizer = adam(self.discriminator, training.lr_of("discriminator"), training.betas)
        self._data = {plan.client: load_client(plan.data) for plan in layout.clients}
        self._latent = torch.Generator().manual_seed(torch_seed(config.seed, "latent"))

    def run(self, num_steps: int) -> Slice:
        """So many steps of a new round."""
        torch.set_num_threads(self._threads)
        self.begin_round(self._round)
        self._round += 1
        started, cpu_before = time.perf_counter(), time.process_time()
        images = sum(self.step(step) for step in range(num_steps))
        return Slice(time.perf_counter() - started, num_steps, images, time.process_time() - cpu_before)

    def begin_round(self, round_number: int) -> None:
        """Shuffles every client's local epochs."""
        training = self._config.training
        self._batches = {
            client: [
                batch
                for _ in range(training.local_epochs)
                for batch in data.epoch_batches(
                    stream(self._config.seed, "batches", round_number, client), training.batch_size
                )
            ]
            for client, data in self._data.items()
        }

    def step(self, number: int) -> int:
        """One D update and one G update; the real images that went in."""
        reals, labels = self._batch(number)
        z = torch.randn(len(labels), self._latent_size, generator=self._latent)
        fakes = run_blocks(self.generator, z, labels)
        seed = torch_seed(self._config.seed, "augment", self._round, number)
        transform = draw_transform(self._config.training.augment, len(labels), seed)
        of_fakes = run_blocks(self.discriminator, transform(fakes.detach()), labels)
        of_reals = run_blocks(self.discriminator, transform(reals), labels)
        self._loss.discriminator(of_fakes, of_reals).backward()
        _update(self._discriminator_optimizer)
        with frozen(self.discriminator):
            of_fakes = run_blocks(self.discriminator, transform(fakes), labels)
            self._loss.of_generator(of_fakes, of_reals.detach()).backward()
        _update(self._generator_optimizer)
        return len(labels)

    def _batch(self, number: int) -> tuple[Tensor, Tensor]:
        parts = [
            self._data[client].batch(batches[number])
            for client, batches in self._batches.items()
            if number < len(batches)
        ]
        images, labels = (torch.from_numpy(np.concatenate(part)) for part in zip(*parts, strict=True))
        return images, labels


def _update(optimizer: torch.optim.Optimizer | None) -> None:
    if optimizer is not None:
        optimizer.step()
        optimizer.zero_grad()
