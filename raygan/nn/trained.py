"""One whole network with its optimizer, and a discriminator's update.

Shapes: images (B, C, S, S) float32 in [-1, 1], labels (B,) int64, logits (B,).
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from raygan.config.schema import TrainingConfig
from raygan.errors import ConfigError
from raygan.names import BlockKey, BlockOwner, BlockState, NetworkName, weights_in
from raygan.nn.average import averaged_blocks, weight_average
from raygan.nn.losses import gan_loss, gradient_penalty
from raygan.nn.network import (
    adam,
    block_state,
    frozen,
    gradient_norm,
    is_finite,
    load_block_state,
    placed,
    run_blocks,
    set_learning_rate,
)
from raygan.nn.persistence import average_arrays, load_average, load_network_arrays, network_arrays
from raygan.storage import block_states
from raygan.wire.statistics import Mean


class TrainedNetwork:
    """Generator or discriminator.

    Args:
        blocks: the initial ones; they are left as they are.
        device: where they compute.

    Raises:
        ConfigError: there is nothing to train in them.
    """

    def __init__(
        self, name: NetworkName, blocks: Iterable[nn.Module], training: TrainingConfig, device: torch.device
    ) -> None:
        self.name, self._training = name, training
        self._blocks = [placed(copy.deepcopy(block), device) for block in blocks]
        optimizer = adam(self._blocks, training.lr_of(name), training.betas)
        if optimizer is None:
            raise ConfigError("model.networks", f"the {name} has no parameters", "give it some to train")
        self._optimizer = optimizer
        self._average = weight_average(dict(enumerate(self._blocks)), training) if name == "generator" else None

    @property
    def blocks(self) -> dict[BlockKey, nn.Module]:
        """By key, in order; behind them the generator's average, if it has one."""
        own: dict[BlockKey, nn.Module] = {(self.name, index): block for index, block in enumerate(self._blocks)}
        return own | averaged_blocks(self._average)

    def begin_round(self, round_number: int) -> None:
        """Sets the round's learning rate."""
        set_learning_rate(self._optimizer, self.name, self._training, round_number)

    def __call__(self, x: Tensor, labels: Tensor) -> Tensor:
        """What comes out of the last block."""
        return run_blocks(self._blocks, x, labels)

    def update(self) -> Tensor:
        """One optimizer step, which the average takes in; the norm of its gradients, which are then forgotten."""
        norm = gradient_norm(self._optimizer)
        self._optimizer.step()
        self._optimizer.zero_grad()
        if self._average is not None:
            self._average.update()
        return norm

    def is_finite(self) -> bool:
        """Whether all parameters and buffers are finite."""
        return is_finite(self.blocks.values())

    def states(self) -> dict[BlockKey, BlockState]:
        """A copy of each block's parameters and buffers."""
        return {key: block_state(block) for key, block in self.blocks.items()}

    def to_sample(self) -> dict[BlockKey, BlockState]:
        """The network as it is to be sampled from: its average, if it has one."""
        own = [block_state(block) for block in self._blocks]
        averages = [weights_in(block_state(block)) for block in averaged_blocks(self._average).values()]
        return {(self.name, index): state for index, state in enumerate(averages or own)}

    def arrays(self) -> dict[str, np.ndarray]:
        """Blocks, optimizer and average, for a checkpoint."""
        own = network_arrays(self.name, dict(enumerate(self._blocks)), self._optimizer)
        return own | average_arrays(self._average)

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """The inverse of `arrays`."""
        load_network_arrays(self.name, dict(enumerate(self._blocks)), self._optimizer, arrays)
        load_average(self._average, arrays)

    def take_over(self, states: Mapping[BlockKey, BlockState]) -> None:
        """Loads others' blocks; the optimizer begins anew."""
        for key, block in self.blocks.items():
            if key in states:  # of a hidden D a model's file has nothing
                load_block_state(block, states[key])
        self._optimizer.state.clear()


def states_in(arrays: Mapping[str, np.ndarray], *names: BlockOwner) -> dict[BlockKey, dict[str, np.ndarray]]:
    """The blocks of these networks in a model's file; errors as `block_states`."""
    return {(name, index): state for name in names for index, state in block_states(arrays, name).items()}


@dataclass(frozen=True)
class Noise:
    """Of a D update under differential privacy (`raygan/nn/private.py`)."""

    seed: int
    """Which nobody else may know."""
    expected: int
    """Images that are drawn for an update on average."""


@dataclass(frozen=True)
class DiscriminatorUpdate:
    """What a D update tells: scalars that are still on the device, so that one wait fetches them all."""

    loss: Tensor
    reals: Tensor
    """Sum over real images of the probability that D gives them to be real."""
    fakes: Tensor
    """The same over fakes."""
    gradient_norm: Tensor
    num_reals: int
    num_fakes: int

    @property
    def scalars(self) -> list[Tensor]:
        """Loss, reals, fakes, gradient's norm."""
        return [self.loss, self.reals, self.fakes, self.gradient_norm]

    def statistics(self, reals: float, fakes: float, gradient_norm: float) -> dict[str, Mean]:
        """Their means, from the fetched values; nothing of reals that it does not tell of."""
        return {
            **({"discriminator_real": Mean(reals, self.num_reals)} if self.num_reals else {}),
            "discriminator_fake": Mean(fakes, self.num_fakes),
            "discriminator_gradient_norm": Mean(gradient_norm, 1),
        }


class TrainedDiscriminator(TrainedNetwork):
    """D, with the losses on its logits, and an eye on what its anchor block makes of real images.

    Args:
        anchor: index of the anchor block.
    """

    def __init__(
        self, blocks: Iterable[nn.Module], anchor: int, training: TrainingConfig, device: torch.device
    ) -> None:
        super().__init__("discriminator", blocks, training, device)
        self._loss, self._anchor = gan_loss(training.loss), anchor
        self._maps: deque[Tensor] | None = None
        self._real_logits: Tensor | None = None
        """Of the last update."""

    def learn(
        self, fakes: Tensor, fake_labels: Tensor, images: Tensor, labels: Tensor, noise: Noise | None = None
    ) -> DiscriminatorUpdate:
        """One update, on fakes that are detached from G and on real images.

        Args:
            noise: none here (`PrivateDiscriminator` has some).
        """
        penalised = self._training.r1 > 0
        of_fakes = self(fakes, fake_labels)
        images = images.detach().requires_grad_() if penalised else images
        of_reals = self._of_reals(images, labels)
        self._real_logits = of_reals.detach()
        loss = self._loss.discriminator(of_fakes, of_reals)
        if penalised:
            loss = loss + self._training.r1 * gradient_penalty(of_reals, images)
        loss.backward()
        norm = self.update()
        real, fake = (logits.detach().sigmoid().sum() for logits in (of_reals, of_fakes))
        return DiscriminatorUpdate(loss.detach(), real, fake, norm, len(of_reals), len(of_fakes))

    def judge(self, fakes: Tensor, labels: Tensor) -> Tensor:
        """Logits through which gradients reach the fakes, and none D's weights."""
        with frozen(self._blocks):
            return self(fakes, labels)

    def generator_loss(self, fakes: Tensor, labels: Tensor) -> Tensor:
        """G's loss on its fakes; its gradients go through D and reach the fakes alone."""
        return self.loss_of(self.judge(fakes, labels))

    def loss_of(self, logits: Tensor) -> Tensor:
        """G's loss, by D's logits on fakes."""
        return self._loss.of_generator(logits, self._real_logits)

    def observe(self, num_batches: int) -> None:
        """Begins anew to keep the anchor's activation on real images, of so many last minibatches."""
        self._maps = deque(maxlen=num_batches)

    @property
    def anchor_map(self) -> np.ndarray | None:
        """(C, ...), mean over minibatches and their images; None: there was no minibatch."""
        return torch.stack(list(self._maps)).mean(0).cpu().numpy() if self._maps else None

    def _of_reals(self, images: Tensor, labels: Tensor) -> Tensor:
        if self._maps is None:
            return self(images, labels)
        seen = run_blocks(self._blocks[: self._anchor + 1], images, labels)
        self._maps.append(seen.detach().mean(0))
        return run_blocks(self._blocks[self._anchor + 1 :], seen, labels)
