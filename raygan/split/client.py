"""One data owner: its images and labels, the heads and tails of both networks, and its part of a step.

Shapes: images (B, C, S, S) float32 in [-1, 1], labels (B,) int64, z (B, Z). The client's phases are methods under the
names of `raygan.step`; each takes what came out of the body, decoded, and returns what goes into it.

Images, labels and z stay in this object. A phase is a computation that yields what is to be computed and gets the
result back (`raygan.simulation.executors`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from raygan.config.schema import Config
from raygan.data.admission import gate
from raygan.names import NETWORKS, BlockKey, BlockState, NetworkName
from raygan.nn.average import averaged_blocks, weight_average
from raygan.nn.blocks import Networks
from raygan.nn.losses import gan_loss
from raygan.nn.network import block_state, is_finite, load_block_state, set_learning_rate
from raygan.nn.persistence import average_arrays, load_average, load_network_arrays, network_arrays
from raygan.nn.spec import NetworkSpec
from raygan.nn.vmapped import Tensors
from raygan.parties.data_owner import DataOwner
from raygan.simulation.executors import Backward, Computation, NonFiniteError, Run
from raygan.split.defence import HeadDefence
from raygan.split.ends import NetworkEnds, gradient_of, leaf
from raygan.split.layout import ClientPlan
from raygan.wire.codec import CPU
from raygan.wire.records import State
from raygan.wire.statistics import Mean


class Client:
    """One client of the federation.

    Args:
        device: where it computes; what it takes and returns in a step is there too.
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
        self.plan = plan
        training, latent_size = config.training, spec.latent_size
        self._training = training
        asks = gate(config, plan.data.domain_index, plan.client, plan.discriminator_cut[0])
        self.owner = DataOwner(plan.client, plan.data, training, config.seed, latent_size, device, again, asks)
        self._loss = gan_loss(training.loss)
        g_lr, d_lr, betas = training.lr_of("generator"), training.lr_of("discriminator"), training.betas
        self.generator = NetworkEnds(networks.generator, plan.generator_cut, g_lr, betas, device)
        self.discriminator = NetworkEnds(networks.discriminator, plan.discriminator_cut, d_lr, betas, device)
        self.defence = HeadDefence(config.privacy, config.seed, plan.client, device)
        self._round = 0
        self.average = weight_average(self.generator.blocks, training)
        self.losses: tuple[float, float] = (math.nan, math.nan)
        self.num_images = 0
        """Real images in the current step."""
        self.statistics: dict[str, Mean] = {}
        """Of the current step: the mean of D over its fakes and over its reals."""

    def begin_round(self, round_number: int) -> None:
        """Sets the round's learning rates."""
        self._round = round_number
        for network in NETWORKS:
            set_learning_rate(self.ends(network).optimizer, network, self._training, round_number)

    def generate(self, step: int) -> Computation[Tensors]:
        """Passes z ~ N(0, 1) and the fakes' labels through the G head."""
        minibatch = self.owner.minibatch(step)
        self.defence.begin_step(self._round, step)
        self._transform = minibatch.transform
        self._reals, self._labels = self._transform(minibatch.images), minibatch.labels
        self._fake_labels = minibatch.fake_labels
        self.num_images = len(self._labels)
        self._generated = yield self._generator_head(minibatch.z)
        return (self._generated,)

    def discriminate(self, received: Tensors) -> Computation[Tensors]:
        """Fakes from the G tail; the D head on the fakes (detached) and, separately, on the reals."""
        self._generator_tail_in = leaf(received[0])
        self._fakes = yield Run("generator", self.generator.tail, self._generator_tail_in)
        of_fakes = yield self._discriminator_head(self._transform(self._fakes.detach()), self._fake_labels)
        of_reals = yield self._discriminator_head(self._reals, self._labels)
        self._of_reals = of_reals
        self.defence.follow((of_fakes, of_reals))
        self._discriminated = (self.defence.sent(of_fakes), self.defence.sent(of_reals))
        return self._discriminated

    def discriminator_loss(self, received: Tensors) -> Computation[Tensors]:
        """D's loss on fakes and reals, backward through the D tail."""
        fakes, reals = (leaf(x) for x in received)
        fake_logits = yield self._discriminator_tail(fakes, self._fake_labels)
        real_logits = yield self._discriminator_tail(reals, self._labels)
        self._real_logits = real_logits.detach()
        loss = self._loss.discriminator(fake_logits, real_logits)
        with torch.no_grad():
            sums = [logits.sigmoid().sum() for logits in (fake_logits, real_logits)]
            value, fake, real = torch.stack([loss, *sums]).tolist()  # one wait for the device
        self.losses = (_finite(value), self.losses[1])
        self.statistics = {
            "discriminator_real": Mean(real, len(real_logits)),
            "discriminator_fake": Mean(fake, len(fake_logits)),
        }
        yield Backward([loss], [None])
        return gradient_of(fakes), gradient_of(reals)

    def update_discriminator(self, received: Tensors) -> Computation[Tensors]:
        """Backward through the D head and D's update; then the new D head on the same fakes, graph kept."""
        penalty = self.defence.penalty(self._reals, self._of_reals)
        yield Backward((*self._discriminated, *penalty), (*received, *[None] * len(penalty)))
        self.discriminator.update()
        with self.discriminator.frozen():
            of_fakes = yield self._discriminator_head(self._transform(self._fakes), self._fake_labels)
        self._adversarial = self.defence.sent(of_fakes)
        return (self._adversarial,)

    def generator_loss(self, received: Tensors) -> Computation[Tensors]:
        """G's loss, backward through the D tail without D's weight gradients."""
        x = leaf(received[0])
        with self.discriminator.frozen_tail():
            fake_logits = yield self._discriminator_tail(x, self._fake_labels)
            loss = self._loss.of_generator(fake_logits, self._real_logits)
            self.losses = (self.losses[0], _finite(loss.item()))
            yield Backward([loss], [None])
        return (gradient_of(x),)

    def backpropagate(self, received: Tensors) -> Computation[Tensors]:
        """On through the D head (no weight gradients), the fakes and the G tail."""
        yield Backward([self._adversarial], received)
        return (gradient_of(self._generator_tail_in),)

    def update_generator(self, received: Tensors) -> Computation[None]:
        """Backward through the G head, then G's update, which its average takes in."""
        yield Backward([self._generated], received)
        self.generator.update()
        if self.average is not None:
            self.average.update()

    def _generator_head(self, z: Tensor) -> Run:
        return Run("generator", self.generator.head, z, self._fake_labels)

    def _discriminator_head(self, images: Tensor, labels: Tensor) -> Run:
        return Run("discriminator", self.discriminator.head, images, labels)

    def _discriminator_tail(self, x: Tensor, labels: Tensor) -> Run:
        return Run("discriminator", self.discriminator.tail, x, labels)

    def abandon(self) -> None:
        """Forgets the step's gradients: the client sits out the rest of it."""
        self.generator.forget_gradients()
        self.discriminator.forget_gradients()

    def forget_moments(self) -> None:
        """Begins the optimizers anew."""
        self.generator.forget_moments()
        self.discriminator.forget_moments()

    def ends(self, network: NetworkName) -> NetworkEnds:
        """Head and tail of one network."""
        return self.generator if network == "generator" else self.discriminator

    @property
    def blocks(self) -> dict[BlockKey, nn.Module]:
        """Heads and tails of both networks, and the averages of those of G."""
        own: dict[BlockKey, nn.Module] = {
            (network, index): x for network in NETWORKS for index, x in self.ends(network).blocks.items()
        }
        return own | averaged_blocks(self.average)

    def is_finite(self) -> bool:
        """Whether all parameters and buffers of heads and tails are finite."""
        return is_finite(self.blocks.values())

    def state(self) -> State:
        """Parameters and buffers of heads and tails, and the sample count."""
        return State(self.owner.num_held, {key: block_state(block) for key, block in self.blocks.items()})

    def load(self, key: BlockKey, state: BlockState) -> None:
        """Takes over one block's average."""
        load_block_state(self.blocks[key], dict(state))

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything a resumed client needs: heads, tails, their optimizers' states, averages and D's scale."""
        own = {
            name: array
            for network in NETWORKS
            for name, array in network_arrays(network, self.ends(network).blocks, self.ends(network).optimizer).items()
        }
        return own | average_arrays(self.average) | self.defence.arrays()

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """The inverse of `arrays`."""
        for network in NETWORKS:
            ends = self.ends(network)
            load_network_arrays(network, ends.blocks, ends.optimizer, arrays)
        load_average(self.average, arrays)
        self.defence.restore(arrays)

    def take_over(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Loads its blocks from a cluster's networks, `network.block.name`; its optimizers begin anew."""
        for network, index in self.blocks:
            prefix = f"{network}.{index}."
            state = {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
            if state:  # of a hidden D a model's file has nothing
                self.load((network, index), state)
        self.defence.forget()
        self.forget_moments()


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise NonFiniteError(f"loss is {value}")
    return value
