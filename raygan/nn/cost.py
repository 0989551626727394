"""What each block of a network costs: FLOPs, bytes of its output, parameters and memory.

Counted on torch's meta device, so that no number is computed and a large network costs nothing to measure.
One multiply-add is two FLOPs (torch's flop counter: convolutions, linear layers, matrix products).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import _SpectralNorm
from torch.utils.flop_counter import FlopCounterMode

from raygan.nn.blocks import Networks
from raygan.nn.compiler import compiler_left_out
from raygan.nn.network import block_inputs
from raygan.nn.spec import NetworkSpec


@dataclass(frozen=True)
class BlockCosts:
    """One entry a block, in order, for one batch."""

    forward_flops: tuple[float, ...]
    backward_flops: tuple[float, ...]
    """Gradients of the weights and, from block 1 on, of the block's input."""
    output_shapes: tuple[tuple[int, ...], ...]
    """Shapes of the outputs, without the batch axis."""
    output_elements: tuple[int, ...]
    """Entries of the output; the wire codec decides how many bytes they are."""
    parameter_bytes: tuple[float, ...]
    activation_bytes: tuple[float, ...]
    """Bytes that a block keeps for its backward pass (its layers' outputs), estimated from its modules."""


def network_costs(networks: Networks, spec: NetworkSpec, batch_size: int) -> tuple[BlockCosts, BlockCosts]:
    """Costs of the generator and of the discriminator for one batch."""
    size = spec.image_size
    labels = torch.zeros(batch_size, dtype=torch.int64, device="meta")
    z = torch.empty(batch_size, spec.latent_size, device="meta")
    images = torch.empty(batch_size, spec.channels, size, size, device="meta")
    with compiler_left_out(networks.blocks.values()):
        return _costs(networks.generator, z, labels), _costs(networks.discriminator, images, labels)


def _costs(blocks: list[nn.Module], x: Tensor, labels: Tensor) -> BlockCosts:
    rows: list[tuple[Any, ...]] = []
    for block in blocks:
        block = block.to("meta")
        layer_bytes: list[int] = []
        layers = [layer for layer in block.modules() if _is_layer(layer)]
        hooks = [layer.register_forward_hook(_note(layer_bytes)) for layer in layers]
        with FlopCounterMode(display=False) as forward:
            output = block(*block_inputs(block, x, labels))
        with FlopCounterMode(display=False) as backward:
            output.sum().backward()
        for hook in hooks:
            hook.remove()
        flops = (float(counter.get_total_flops()) for counter in (forward, backward))
        parameters = float(sum(p.numel() * p.element_size() for p in block.parameters()))
        rows.append((*flops, tuple(output.shape[1:]), output.numel(), parameters, float(sum(layer_bytes))))
        x = output.detach().requires_grad_()
    return BlockCosts(*zip(*rows, strict=True))


def _is_layer(module: nn.Module) -> bool:
    """Whether a module is a layer, not a container of some, nor what a layer makes its weights of."""
    parts = [name for name, _ in module.named_children() if name != "parametrizations"]
    return not parts and not isinstance(module, (nn.ModuleList, _SpectralNorm))


def _note(layer_bytes: list[int]) -> Callable[..., None]:
    return lambda layer, inputs, output: layer_bytes.append(output.numel() * 4)
