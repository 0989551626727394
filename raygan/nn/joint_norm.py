"""BatchNorm over a batch whose rows lie with several replicas of a block, as if they were merged.

torch's `SyncBatchNorm` has the formulas and refuses CPU tensors. Replica r has n_r values of each channel (rows times
places), their mean m_r and sum of squares about it M_r; N = sum_r n_r, g is the weight, x^ the normalised input:

    mean = sum_r n_r m_r / N        M = sum_r [M_r + n_r (m_r - mean)^2]
    var = M / N                     what the running variance takes: M / (N - 1)
    dx = g / sqrt(var + eps) (dy - (s1 + x^ s2) / N)      s1 = sum_r sum dy,  s2 = sum_r sum dy x^

So each layer exchanges 2C + 1 numbers forward and 2C backward, in float64, which are added in the order of the replicas:
the same run twice is the same run. Gradients of weight and bias are those of a replica's own rows; whoever updates the
weights adds them up. A replica without rows exchanges as well: the others wait for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn.modules.batchnorm import _BatchNorm

Gather = Callable[[Tensor], Tensor]
"""This replica's numbers (n,) -> those of all (replicas, n), in their order. Every replica calls it as often."""


class JointBatchNorm(_BatchNorm):
    """The BatchNorm of a block that has replicas: its parameters and buffers, under their names, are the layer's own.

    Args:
        layer: which it takes the place of.
        gather: exchanges numbers with the other replicas.
    """

    def __init__(self, layer: _BatchNorm, gather: Gather) -> None:
        nn.Module.__init__(self)
        for name in ("num_features", "eps", "momentum", "affine", "track_running_stats", "training"):
            setattr(self, name, getattr(layer, name))
        for name in ("weight", "bias"):
            self.register_parameter(name, getattr(layer, name))
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(layer, name))
        self._gather = gather

    def forward(self, input: Tensor) -> Tensor:
        """(B, C, ...) of this replica, B may be 0 -> the same shape.

        Raises:
            ValueError: all replicas together have one value a channel.
        """
        if not self.training and self.running_mean is not None:
            assert self.running_var is not None
            return _scaled(input, self.weight, self.bias, self.running_mean, self.running_var, self.eps)
        out, mean, var, count = cast(
            "tuple[Tensor, ...]", _Normalised.apply(input, self.weight, self.bias, self.eps, self._gather)
        )
        if self.training and self.running_mean is not None:
            self._track(mean, var, count)
        return out

    def _track(self, mean: Tensor, var: Tensor, count: Tensor) -> None:
        """The running statistics of the merged batch: mean (C,), var (C,) biased, of `count` values."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        for running, found in ((self.running_mean, mean), (self.running_var, var * (count / (count - 1)))):
            running.mul_(1 - share).add_(found.to(running.dtype), alpha=share)


def joined(block: nn.Module, gather: Gather) -> nn.Module:
    """The same block; each BatchNorm in it sees the rows of all replicas from now on."""
    if isinstance(block, _BatchNorm):
        return JointBatchNorm(block, gather)
    for name, child in block.named_children():
        block.register_module(name, joined(child, gather))
    return block


class _Normalised(torch.autograd.Function):
    """(x, weight, bias, eps, gather) -> x normalised; mean (C,), biased variance (C,), count () of all rows, float64."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor | None, bias: Tensor | None, eps: float, gather: Gather
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        mean, var, count = _together(gather(_own_statistics(x)))
        if count <= 1:
            raise ValueError(f"Expected more than 1 value per channel when training, got input size {tuple(x.shape)}")
        own_mean, own_var = mean.to(x.dtype), var.to(x.dtype)
        ctx.save_for_backward(x, weight, own_mean, own_var)
        ctx.eps, ctx.gather, ctx.count = eps, gather, float(count)
        out = _scaled(x, weight, bias, own_mean, own_var, eps)
        ctx.mark_non_differentiable(mean, var, count)
        return out, mean, var, count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, *_: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None, None]:
        x, weight, mean, var = ctx.saved_tensors
        dx, dweight, dbias = _of_fixed_statistics(dy, x, weight, mean, var, ctx.eps)
        sums = _in_order(ctx.gather(torch.cat([dbias, dweight]).double()))
        s1, s2 = (sums / ctx.count).to(x.dtype).chunk(2)
        scale = (var + ctx.eps).rsqrt() if weight is None else weight * (var + ctx.eps).rsqrt()
        if len(x):
            dx -= _scaled(x, scale * s2, scale * s1, mean, var, ctx.eps)
        needs = ctx.needs_input_grad
        return dx, dweight if needs[1] else None, dbias if needs[2] else None, None, None


def _own_statistics(x: Tensor) -> Tensor:
    """(2C + 1,) float64: count, means and sums of squares about them, of this replica's rows (B, C, ...)."""
    channels = x.shape[1]
    count = x.numel() // channels
    if count == 0:
        return x.new_zeros(2 * channels + 1, dtype=torch.float64)
    mean, var = torch.batch_norm_update_stats(x, None, None, 0.0)
    own = torch.cat([mean.double(), var.double() * count])
    return torch.cat([own.new_full((1,), count), own])


def _together(of_replicas: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(replicas, 2C + 1) -> mean (C,), biased variance (C,), count () of all rows."""
    counts, rest = of_replicas[:, :1], of_replicas[:, 1:]
    means, squares = rest.chunk(2, dim=1)
    count = _in_order(counts)
    mean = _in_order(counts * means) / count
    return mean, _in_order(squares + counts * (means - mean) ** 2) / count, count[0]


def _in_order(rows: Tensor) -> Tensor:
    """The rows' sum, the first two first."""
    first, *others = rows
    total: Tensor = first.clone()
    for row in others:
        total += row
    return total


def _scaled(x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor, var: Tensor, eps: float) -> Tensor:
    """Returns weight (x - mean) / sqrt(var + eps) + bias."""
    return torch.batch_norm(x, weight, bias, mean, var, False, 0.0, eps, torch.backends.cudnn.enabled)


def _of_fixed_statistics(
    dy: Tensor, x: Tensor, weight: Tensor | None, mean: Tensor, var: Tensor, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns dx where mean and variance are constants, sum dy x^ (C,), sum dy (C,)."""
    if not len(x):
        return torch.zeros_like(x), torch.zeros_like(mean), torch.zeros_like(mean)
    last = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    dy = dy.contiguous(memory_format=torch.channels_last if last else torch.contiguous_format)  # else it is slow
    found = torch.ops.aten.native_batch_norm_backward(
        dy, x, weight, mean, var, None, None, False, eps, [True, True, True]
    )
    return cast("tuple[Tensor, Tensor, Tensor]", found)
