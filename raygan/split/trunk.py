"""A body's middle blocks of both networks with their optimizers, and the average of G's: one for all clients, or one for
each cluster."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping

import numpy as np
import torch
from torch import Tensor, nn

from raygan.config.schema import TrainingConfig
from raygan.names import BlockKey, NetworkName
from raygan.nn.average import averaged_blocks, weight_average
from raygan.nn.joint_norm import joined
from raygan.nn.network import (
    adam,
    block_state,
    gradient_norm,
    has_gradients,
    is_finite,
    load_block_state,
    set_learning_rate,
)
from raygan.nn.persistence import average_arrays, load_average, load_network_arrays, network_arrays
from raygan.parties.peers import Peers
from raygan.wire.records import BlockAverage, Lost, State


class Trunk:
    """The blocks that clients leave to the server.

    Args:
        blocks: network -> block's index -> block, where it computes.
    """

    def __init__(self, blocks: Mapping[NetworkName, dict[int, nn.Module]], training: TrainingConfig) -> None:
        self.blocks, self._training = blocks, training
        self._optimizers = {
            name: adam(held.values(), training.lr_of(name), training.betas) for name, held in blocks.items()
        }
        self._average = weight_average(blocks["generator"], training)

    def join(self, peers: Peers) -> None:
        """Its BatchNorm sees the rows of all replicas from now on."""
        for held in self.blocks.values():
            held.update({index: joined(block, peers.gather) for index, block in held.items()})

    def parameters(self, network: NetworkName) -> list[nn.Parameter]:
        """What is trained of a network."""
        return [parameter for block in self.blocks[network].values() for parameter in block.parameters()]

    def begin_round(self, round_number: int) -> None:
        """Sets the round's learning rates."""
        for network, optimizer in self._optimizers.items():
            set_learning_rate(optimizer, network, self._training, round_number)

    def copy(self) -> Trunk:
        """Another one with the same weights and the same moments, which goes its own way."""
        return copy.deepcopy(self)

    def update(self, network: NetworkName) -> Tensor | None:
        """One optimizer step; the norm of its gradients, which are then forgotten. None: nothing to train."""
        optimizer = self._optimizers[network]
        if optimizer is None:
            return None
        trained, norm = has_gradients(optimizer), gradient_norm(optimizer)
        optimizer.step()
        optimizer.zero_grad()
        if network == "generator" and self._average is not None and trained:
            self._average.update()
        return norm

    def state(self, held: Collection[BlockKey]) -> State | Lost:
        """Parameters and buffers of these blocks; `Lost` where they are no longer finite."""
        blocks = {key: block_state(self._block(key)) for key in held}
        if not is_finite(self._block(key) for key in held):
            return Lost("the body's parameters are not finite", "not_finite")
        return State(0, blocks)

    def load(self, average: BlockAverage) -> None:
        """Takes over one block's average."""
        load_block_state(self._block(average.block), dict(average.state))

    def arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """`prefix` and then as `raygan.nn.persistence` names them."""
        arrays = average_arrays(self._average, prefix)
        for network, blocks in self.blocks.items():
            arrays |= network_arrays(prefix + network, blocks, self._optimizers[network])
        return arrays

    def load_arrays(self, prefix: str, arrays: Mapping[str, np.ndarray]) -> None:
        """The inverse of `arrays`.

        Raises:
            RunError: the arrays are those of other networks or cuts.
        """
        for network, blocks in self.blocks.items():
            load_network_arrays(prefix + network, blocks, self._optimizers[network], arrays)
        load_average(self._average, arrays, prefix)

    def _block(self, key: BlockKey) -> nn.Module:
        network, index = key
        assert network != "sealed", "a body holds nothing that is sealed"
        return averaged_blocks(self._average)[key] if network == "average" else self.blocks[network][index]


def joint_norm(norms: Collection[Tensor]) -> Tensor:
    """L2 norm of several gradients together, of which the norms are given: at least one."""
    first, *others = norms
    return torch.linalg.vector_norm(torch.stack([first, *others])) if others else first
