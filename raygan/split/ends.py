"""The client's side of one network: head and tail with their optimizer."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch
from torch import Tensor, nn

from raygan.cuts.cut import head_blocks, tail_blocks
from raygan.names import Cut
from raygan.nn.network import adam, frozen_parameters, gradient_norm, placed


class NetworkEnds:
    """Head and tail of one network, and the Adam that trains both.

    Args:
        blocks: the whole network; only the blocks of head and tail are kept.
        cut: (h, t).
        device: where the blocks are moved to.
    """

    def __init__(
        self,
        blocks: list[nn.Module],
        cut: Cut,
        lr: float,
        betas: tuple[float, float],
        device: torch.device | None = None,
    ) -> None:
        self.head = {index: placed(blocks[index], device) for index in head_blocks(cut)}
        self.tail = {index: placed(blocks[index], device) for index in tail_blocks(cut, len(blocks))}
        self.blocks = {**self.head, **self.tail}
        self._parameters = [parameter for block in self.blocks.values() for parameter in block.parameters()]
        self._tail_parameters = [parameter for block in self.tail.values() for parameter in block.parameters()]
        self.optimizer = adam(self.blocks.values(), lr, betas)
        self.gradient_norm: Tensor | None = None
        """L2 norm of the last update's gradients, a scalar on the device; None: there was no update."""

    def update(self) -> None:
        """One optimizer step with the gradients at hand, which are then forgotten."""
        if self.optimizer is not None:
            self.gradient_norm = gradient_norm(self.optimizer)
            self.optimizer.step()
            self.forget_gradients()

    def frozen(self) -> AbstractContextManager[None]:
        """Within it, neither head nor tail gets gradients; gradients pass through them."""
        return frozen_parameters(self._parameters)

    def frozen_tail(self) -> AbstractContextManager[None]:
        """As `frozen`, the tail alone."""
        return frozen_parameters(self._tail_parameters)

    def forget_moments(self) -> None:
        """Adam begins anew."""
        self.forget_gradients()
        if self.optimizer is not None:
            self.optimizer.state.clear()

    def forget_gradients(self) -> None:
        """Drops gradients without a step."""
        for parameter in self._parameters:
            parameter.grad = None


def leaf(x: Tensor) -> Tensor:
    """The same values as the start of a new graph."""
    return x.detach().requires_grad_()


def gradient_of(x: Tensor) -> Tensor:
    """The gradient that a leaf has collected."""
    assert x.grad is not None, "no backward pass has reached this leaf"
    return x.grad
