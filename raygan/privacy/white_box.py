"""Inversion by who knows the head, in white box: the images whose activations are those that crossed.

Of one minibatch at a time, all its images at once, since BatchNorm mixes them: the candidates have statistics of their
own, so none need be known. By L-BFGS, from one image for all (He, Zhang, Lee 2019, ACSAC, do so by gradient descent):

    min over x of |head(x, y) - a|^2 / (N var a) + w TV(x) + v ((m(x) - m)^2 + (d(x) - d)^2)

a has N entries. TV is the mean absolute difference of neighbours, w = 1e-3 + 0.4 s^2 / (1 + s^2): without it noise of
strength s would be fitted too. m and d are mean and standard deviation over all pixels, of the candidates and of images
that the attacker has: a convolution before a BatchNorm leaves a head blind to them. v = 0.1. Where no noise is
fitted, the search then goes on from there with a hundredth of w and v, which take what the head sees a little astray.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from raygan.nn.disturbance import disturbed, followed
from raygan.nn.network import run_blocks

HISTORY = 10
"""Steps that L-BFGS remembers."""
SMOOTH, SMOOTH_OF_NOISE = 1e-3, 0.4
"""w without noise, and what is added where all is noise."""
MOMENTS = 0.1
"""v."""
EASED = 0.01
"""Times w and v, when the images are nearly found."""


def optimised(
    blocks: Sequence[nn.Module],
    observed: Sequence[Tensor],
    labels: Tensor,
    known: Tensor,
    steps: int,
    strength: float = 0.0,
    tick: Callable[[], None] = lambda: None,
) -> Tensor:
    """Images (N, C, S, S), in [-1, 1], for what crossed.

    Args:
        blocks: of the head; they are copied.
        observed: of each minibatch, (B, ...).
        labels: (N,), what the attacker takes them to be; only heads that are given labels read them.
        known: (M, C, S, S), what the attacker has: it begins with their mean.
        steps: of L-BFGS at most, for each minibatch, and as many again where there is no noise.
        strength: s of the noise that the client is known to add (`privacy.activation_noise`); it clips as well.
        tick: called after each minibatch.
    """
    head = [copy.deepcopy(block).train().requires_grad_(False) for block in blocks]

    def sent(images: Tensor, mine: Tensor) -> Tensor:
        activation = run_blocks(head, images, mine)
        return _clipped(activation) if strength else activation

    start, level, spread = known.mean(0), known.mean(), known.std()
    weight, found = SMOOTH + SMOOTH_OF_NOISE * strength**2 / (1 + strength**2), []
    for seen, mine in zip(observed, labels.split([len(part) for part in observed]), strict=True):
        images = start.expand(len(seen), *start.shape).clone().requires_grad_(True)
        scale = seen.var().clamp(min=1e-12)

        def loss(
            part: float, images: Tensor = images, mine: Tensor = mine, seen: Tensor = seen, scale: Tensor = scale
        ) -> Tensor:
            away = (images.mean() - level).square() + (images.std() - spread).square()
            of_activation = (sent(images, mine) - seen).square().mean() / scale
            return of_activation + part * (weight * total_variation(images) + MOMENTS * away)

        for part in (1.0,) if strength else (1.0, EASED):
            _descend(images, partial(loss, part), steps)
        found.append(images.detach().nan_to_num().clamp(-1, 1))
        tick()
    return torch.cat(found)


def total_variation(images: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels, down and across, of (N, C, H, W)."""
    down, across = images[..., 1:, :] - images[..., :-1, :], images[..., 1:] - images[..., :-1]
    return down.abs().mean() + across.abs().mean()


def _descend(images: Tensor, loss: Callable[[], Tensor], steps: int) -> None:
    """Changes the images to what has less of the loss."""
    solver = torch.optim.LBFGS([images], max_iter=steps, history_size=HISTORY, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        images.grad = None
        found = loss()
        found.backward()
        return found

    solver.step(closure)


def _clipped(activation: Tensor) -> Tensor:
    """As clients clip, without their noise."""
    return disturbed(activation, followed(None, activation), 0.0, torch.Generator())
