"""One data owner: its images and labels, the heads and tails of both networks, and its part of a step.

Shapes: images (B, C, S, S) float32 in [-1, 1], labels (B,) int64, z (B, Z). The methods are the client's
turns in one step, in order; each takes what the body sent and returns what goes to the body:

    generate              z, labels -> G head                                   activation
    discriminate          G tail -> fakes; D head on fakes and on reals         two activations
    judge                 D tail, loss, backward through the tail               two gradients
    update_discriminator  backward through the D head, D update; D head, fakes  activation
    fool                  D tail, generator loss, backward through the tail     gradient
    backpropagate         backward through the D head, the fakes, the G tail    gradient
    update_generator      backward through the G head, G update                 (nothing)

Images, labels and z stay in this object. z is drawn on the CPU, so that it is the same on every device. A turn is a
generator that yields what is to be computed and gets the result back (`raygan/simulation/executors.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from raygan.config.schema import Config
from raygan.data import ClientData, load_client
from raygan.errors import DataError
from raygan.nn.blocks import Networks
from raygan.nn.losses import discriminator_loss, generator_loss
from raygan.nn.network import block_state, frozen, is_finite, load_block_state
from raygan.nn.persistence import load_network_arrays, network_arrays
from raygan.nn.spec import NetworkSpec
from raygan.randomness import stream, torch_seed
from raygan.simulation.executors import Backward, NonFiniteError, Run, Tensors, Turn
from raygan.split.ends import NetworkEnds, gradient_of, leaf
from raygan.split.layout import ClientPlan
from raygan.wire.codec import CPU
from raygan.wire.records import NETWORKS, BlockKey, BlockState, Inventory, NetworkName, State


class Client:
    """One client of the federation.

    Args:
        device: where it computes; what it takes and returns in a step is there too.
        again: it takes the place of a lost one, so data that cannot be read is a fault of its own (`unreadable`).

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
        self.plan, self._spec, self._config, self._device = plan, spec, config, device
        self._data: ClientData | None = None
        self.unreadable: DataError | None = None
        """Why it takes no part; None: it has its data."""
        try:
            self._data = load_client(plan.data)
        except DataError as error:
            if not again:
                raise
            self.unreadable = error
        lr, betas = config.training.lr, config.training.betas
        self.generator = NetworkEnds(networks.generator, plan.generator_cut, lr, betas, device)
        self.discriminator = NetworkEnds(networks.discriminator, plan.discriminator_cut, lr, betas, device)
        self._batches: list[np.ndarray] = []
        self._latent = torch.Generator()
        self.losses: tuple[float, float] = (math.nan, math.nan)
        self.num_images = 0
        """Real images in the current step."""

    def inventory(self) -> Inventory:
        """How much it holds: counts only."""
        return Inventory(self.plan.client, self.num_held, len(self._epoch(stream(0, "inventory"))))

    def begin_round(self, round_number: int) -> None:
        """Shuffles E epochs of minibatches and seeds z, both from (seed, round, client)."""
        seed, client, training = self._config.seed, self.plan.client, self._config.training
        shuffle = stream(seed, "batches", round_number, client)
        self._batches = [batch for _ in range(training.local_epochs) for batch in self._epoch(shuffle)]
        self._latent.manual_seed(torch_seed(seed, "latent", round_number, client))

    def takes_part(self, step: int) -> bool:
        """Whether its local epochs still have a minibatch for this step of the round."""
        return step < len(self._batches)

    def generate(self, step: int) -> Turn[Tensors]:
        """z ~ N(0, 1) and the minibatch's labels through the G head."""
        assert self._data is not None, "without data it has no minibatches"
        images, labels = self._data.batch(self._batches[step])
        self.num_images = len(labels)
        self._reals = torch.from_numpy(images).to(self._device)
        self._labels = torch.from_numpy(labels).to(self._device)
        z = torch.randn(len(labels), self._spec.latent_size, generator=self._latent)
        self._generated = yield self._generator_head(z.to(self._device))
        return (self._generated,)

    def discriminate(self, received: Tensors) -> Turn[Tensors]:
        """Fakes from the G tail; the D head on the fakes (detached) and, separately, on the reals."""
        self._generator_tail_in = leaf(received[0])
        self._fakes = yield Run("generator", self.generator.tail, (self._generator_tail_in,))
        fakes_judged = yield self._discriminator_head(self._fakes.detach())
        reals_judged = yield self._discriminator_head(self._reals)
        self._judged = (fakes_judged, reals_judged)
        return self._judged

    def judge(self, received: Tensors) -> Turn[Tensors]:
        """BCE(fake, 0) + BCE(real, 1), backward through the D tail."""
        fakes, reals = (leaf(x) for x in received)
        fake_logits = yield self._discriminator_tail(fakes)
        real_logits = yield self._discriminator_tail(reals)
        loss = discriminator_loss(fake_logits, real_logits)
        self.losses = (_finite(loss), self.losses[1])
        yield Backward([loss], [None])
        return gradient_of(fakes), gradient_of(reals)

    def update_discriminator(self, received: Tensors) -> Turn[Tensors]:
        """Backward through the D head and D's update; then the new D head on the same fakes, graph kept."""
        yield Backward(self._judged, received)
        self.discriminator.update()
        with frozen(self.discriminator.blocks.values()):
            self._fooling = yield self._discriminator_head(self._fakes)
        return (self._fooling,)

    def fool(self, received: Tensors) -> Turn[Tensors]:
        """BCE(fake, 1), backward through the D tail without D's weight gradients."""
        x = leaf(received[0])
        with frozen(self.discriminator.tail.values()):
            loss = generator_loss((yield self._discriminator_tail(x)))
            self.losses = (self.losses[0], _finite(loss))
            yield Backward([loss], [None])
        return (gradient_of(x),)

    def backpropagate(self, received: Tensors) -> Turn[Tensors]:
        """On through the D head (no weight gradients), the fakes and the G tail."""
        yield Backward([self._fooling], received)
        return (gradient_of(self._generator_tail_in),)

    def update_generator(self, received: Tensors) -> Turn[None]:
        """Backward through the G head, then G's update."""
        yield Backward([self._generated], received)
        self.generator.update()

    def _generator_head(self, z: Tensor) -> Run:
        return Run("generator", self.generator.head, (z, self._labels))

    def _discriminator_head(self, images: Tensor) -> Run:
        return Run("discriminator", self.discriminator.head, (images, self._labels))

    def _discriminator_tail(self, x: Tensor) -> Run:
        return Run("discriminator", self.discriminator.tail, (x,))

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
    def num_held(self) -> int:
        """Training images that it holds."""
        return 0 if self._data is None else len(self._data)

    def _epoch(self, shuffle: np.random.Generator) -> list[np.ndarray]:
        """Minibatches of one pass over its images: indices."""
        return (
            [] if self._data is None else self._data.epoch_batches(shuffle, self._config.training.batch_size)
        )

    def is_finite(self) -> bool:
        """Whether all parameters and buffers of heads and tails are finite."""
        return is_finite(block for network in NETWORKS for block in self.ends(network).blocks.values())

    def state(self) -> State:
        """Parameters and buffers of heads and tails, and the sample count."""
        blocks: dict[BlockKey, BlockState] = {}
        for network in NETWORKS:
            for index, block in self.ends(network).blocks.items():
                blocks[network, index] = block_state(block)
        return State(self.num_held, blocks)

    def load(self, key: BlockKey, state: BlockState) -> None:
        """Takes over one block's average."""
        network, index = key
        load_block_state(self.ends(network).blocks[index], dict(state))

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything a resumed client needs: heads, tails and their optimizers' states."""
        return {
            name: array
            for network in NETWORKS
            for name, array in network_arrays(
                network, self.ends(network).blocks, self.ends(network).optimizer
            ).items()
        }

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """The inverse of `arrays`."""
        for network in NETWORKS:
            ends = self.ends(network)
            load_network_arrays(network, ends.blocks, ends.optimizer, arrays)

    def take_over(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Loads its blocks from a cluster's networks, `network.block.name`; its optimizers begin anew."""
        for network in NETWORKS:
            for index in self.ends(network).blocks:
                prefix = f"{network}.{index}."
                state = {
                    name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)
                }
                self.load((network, index), state)
        self.forget_moments()


def _finite(loss: Tensor) -> float:
    value = loss.item()
    if not math.isfinite(value):
        raise NonFiniteError(f"loss is {value}")
    return value
