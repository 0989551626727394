"""Backward passes that begin with given gradients.

`torch.autograd.backward(outputs, gradients)` compares their shapes by way of torch's symbolic ones, and imports sympy for
that: 0.3 s of CPU time and 42 MB in each actor, which needs neither. The numbers are the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def run_backward(outputs: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
    """Collects in the leaves what `torch.autograd.backward(outputs, gradients)` does.

    Args:
        outputs: at least one.
        gradients: of each output, of its shape; None, of a number: 1.

    Raises:
        ValueError: a gradient of another shape.
    """
    start_of(outputs, gradients).backward()


def start_of(outputs: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> Tensor:
    """A number whose own gradients are those of the outputs; arguments as for `run_backward`."""
    given = [torch.ones_like(x) if g is None else g for x, g in zip(outputs, gradients, strict=True)]
    for x, gradient in zip(outputs, given, strict=True):
        if x.shape != gradient.shape:
            raise ValueError(f"a gradient of shape {tuple(gradient.shape)} for an output of {tuple(x.shape)}")
    start: Tensor = _Start.apply(given, *outputs)
    return start


class _Start(torch.autograd.Function):
    """A number that stands for all outputs: the way back from it begins with their gradients."""

    @staticmethod
    def forward(ctx: Any, gradients: list[Tensor], *outputs: Tensor) -> Tensor:
        ctx.gradients = gradients
        return outputs[0].new_zeros(())

    @staticmethod
    def backward(ctx: Any, _: Tensor) -> Any:
        return None, *ctx.gradients
