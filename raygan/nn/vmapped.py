"""The same block of several clients as one computation, and whether that is faster.

`torch.vmap` turns C convolutions of C clients into one grouped one, C matrix products into one batched one: C times
fewer calls, each of them less efficient. Which weighs more depends on the device, the block, the batch and C, so it
is measured (`time_block`). The numbers are those of the blocks one by one but for their last bits.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from raygan.nn.backward import run_backward
from raygan.nn.network import placed

Tensors = tuple[Tensor, ...]
REPEATS = 5
TOLERANCE = 1e-2
"""Of the largest entry: TF32's rounding is below it, and a block that vmap computes wrongly is above it."""


class VmappedBlock:
    """One block of several clients; each client's own stays where it is and what it is."""

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        self._parameters = _Stack([dict(block.named_parameters()) for block in blocks])
        self._buffers = _Stack([dict(block.named_buffers()) for block in blocks])
        block = blocks[0]

        def call(parameters: dict[str, Tensor], buffers: dict[str, Tensor], *inputs: Tensor) -> Tensor:
            output: Tensor = functional_call(block, (parameters, buffers), inputs)
            return output

        self._call: Callable[..., Tensor] = torch.vmap(call, randomness="different")

    def __call__(self, who: Sequence[int], inputs: Sequence[Tensors]) -> list[Tensor]:
        """Runs the block forward for the clients at the positions `who`, whose inputs have one shape. Their outputs, each
        in memory of its own, share a graph: run all of them backward together."""
        parameters, buffers = self._parameters.of(who), self._buffers.of(who)
        stacked = [torch.stack(parts) for parts in zip(*inputs, strict=True)]
        output = self._call(parameters, buffers, *stacked)
        self._buffers.write_back(who, buffers)
        return [x.clone(memory_format=torch.contiguous_format) for x in output.unbind()]


class _Stack:
    """Tensors of equal names and shapes, along a new first axis."""

    def __init__(self, tensors: Sequence[dict[str, Tensor]]) -> None:
        self._tensors = {name: [one[name] for one in tensors] for name in tensors[0]}

    def of(self, who: Sequence[int]) -> dict[str, Tensor]:
        return {name: torch.stack([tensors[n] for n in who]) for name, tensors in self._tensors.items()}

    def write_back(self, who: Sequence[int], stacked: dict[str, Tensor]) -> None:
        with torch.no_grad():
            for name, tensors in self._tensors.items():
                torch._foreach_copy_([tensors[n] for n in who], list(stacked[name].unbind()))


@dataclass(frozen=True)
class BlockTime:
    """Seconds of a block's forward and backward pass for all clients, the best of a few."""

    one_by_one_s: float
    vmapped_s: float | None
    """None: it cannot be vmapped, or gives other numbers then (dropout, buffers that are replaced)."""


def time_block(block: nn.Module, num_clients: int, inputs: Tensors) -> BlockTime:
    """Measures copies of a block on the device on which one client's `inputs` are."""
    device = inputs[0].device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        alone, together = (_Contest(block, num_clients, inputs) for _ in range(2))
        vmapped = VmappedBlock(together.blocks)

        def one_by_one(inputs: list[Tensors]) -> list[Tensor]:
            return [block(*one) for block, one in zip(alone.blocks, inputs, strict=True)]

        def at_once(inputs: list[Tensors]) -> list[Tensor]:
            return vmapped(range(num_clients), inputs)

        first_s = alone.run(one_by_one)
        if not _able(together, at_once) or alone.replaces_buffers or not alone.agrees_with(together):
            return BlockTime(first_s, None)
        times = [(alone.run(one_by_one), together.run(at_once)) for _ in range(REPEATS)]
    return BlockTime(min(first for first, _ in times), min(second for _, second in times))


Forward = Callable[[list[Tensors]], list[Tensor]]


class _Contest:
    """Several copies of a block, their inputs, and what comes of them."""

    def __init__(self, block: nn.Module, num_clients: int, inputs: Tensors) -> None:
        self.blocks = [placed(copy.deepcopy(block), inputs[0].device) for _ in range(num_clients)]
        self._leaves = [tuple(_own(x) for x in inputs) for _ in self.blocks]
        self._buffers = self._current_buffers()
        self._outputs: list[Tensor] = []
        self._gradients: list[Tensor] = []

    @property
    def replaces_buffers(self) -> bool:
        """Whether a pass put other tensors into the places of buffers, which is lost where a block is vmapped."""
        return any(a is not b for a, b in zip(self._buffers, self._current_buffers(), strict=True))

    def run(self, forward: Forward) -> float:
        """Seconds of the pass forward and back; the first time, of more than that."""
        self._forget_gradients()
        inputs = [tuple(x.clone() for x in one) for one in self._leaves]  # a block may change its input
        started = self._now()
        self._outputs = forward(inputs)
        self._gradients = self._gradients or _drawn_like(self._outputs)
        run_backward(self._outputs, self._gradients)
        return self._now() - started

    def agrees_with(self, other: _Contest) -> bool:
        """Whether outputs, gradients and buffers are the same after the same passes."""
        return all(_close(a, b) for a, b in zip(self._results(), other._results(), strict=True))

    def _results(self) -> tuple[list[Tensor], ...]:
        parameters = [parameter for block in self.blocks for parameter in block.parameters()]
        leaves = [x for one in self._leaves for x in one]
        return (
            [x.detach() for x in self._outputs],
            [x.new_zeros(()) if x.grad is None else x.grad for x in (*leaves, *parameters)],
            *([buffer] for buffer in self._current_buffers()),
        )

    def _current_buffers(self) -> list[Tensor]:
        return [buffer for block in self.blocks for buffer in block.buffers()]

    def _forget_gradients(self) -> None:
        for x in (x for one in self._leaves for x in one):
            x.grad = None
        for block in self.blocks:
            block.zero_grad()

    def _now(self) -> float:
        device = self._leaves[0][0].device
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter()


def _able(contest: _Contest, at_once: Forward) -> bool:
    """Whether vmap can do it at all."""
    try:
        contest.run(at_once)
    except torch.cuda.OutOfMemoryError:
        raise
    except Exception:  # whatever a block of the user's does that vmap does not know
        return False
    return True


def _own(x: Tensor) -> Tensor:
    copied = x.detach().clone()
    return copied.requires_grad_() if copied.is_floating_point() else copied


def _drawn_like(outputs: Sequence[Tensor]) -> list[Tensor]:
    """Random gradients: BatchNorm's own gradient of equal ones would be nothing but rounding."""
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(x.shape, generator=draw).to(x.device) for x in outputs]


def _close(first: Sequence[Tensor], second: Sequence[Tensor]) -> bool:
    """Against the largest of them all: the gradient of a bias before BatchNorm is rounding alone."""
    largest = max((x.double().abs().max().item() for x in first if x.numel()), default=0.0)
    return all(
        a.shape == b.shape and bool(((a.double() - b.double()).abs() <= TOLERANCE * largest).all())
        for a, b in zip(first, second, strict=True)
    )
