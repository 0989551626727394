"""The kernel distance of two sets of features (KID; 2018, arXiv 1801.01401).

    KID = MMD^2 = mean of k(x, x') over pairs x != x' + mean of k(y, y') over pairs y != y' - 2 mean of k(x, y)
    k(a, b) = (a . b / F + 1)^3

Unlike FID it has no bias where images are few, so that it may be a little below 0.
"""

from __future__ import annotations

import torch

from raygan.errors import InputError

PART = 1000
"""Generated images of which one estimate is made, as in the published code: the distance is the mean over such parts."""


def kernel_distance(real: torch.Tensor, generated: torch.Tensor) -> float:
    """The distance of features (N, F) and (M, F) in float64, the mean over disjoint parts of the generated ones.

    Raises:
        InputError: fewer than 2 images on a side.
    """
    if min(len(real), len(generated)) < 2:
        few = f"{len(real)} real and {len(generated)} generated images"
        raise InputError("kid", few, "give at least 2 on either side: pairs are needed")
    x, within = real.double(), _within(real.double())
    parts = [part for part in generated.double().split(PART) if len(part) == PART] or [generated.double()]
    found = [within + _within(y) - 2 * float(_kernel(x, y).mean()) for y in parts]
    return sum(found) / len(found)


def _within(x: torch.Tensor) -> float:
    """Mean of the kernel over pairs of two."""
    values, count = _kernel(x, x), len(x)
    return float(values.sum() - values.diagonal().sum()) / (count * (count - 1))


def _kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    return (a @ b.T / a.shape[1] + 1) ** 3
