"""Distance correlation (Szekely, Rizzo, Bakirov 2007, Annals of Statistics 35): 0 where two vectors are independent."""

from __future__ import annotations

import torch
from torch import Tensor

TINY = 1e-12


def distance_correlation(x: Tensor, y: Tensor) -> Tensor:
    """dCor(x, y) of N pairs, a scalar in [0, 1] that gradients go through.

        a_ij = |x_i - x_j|,  A = a less its row's and column's mean, plus the mean of all;  b, B of y alike
        dCov^2 = mean A B,  dVar_x = mean A A,  dCor = sqrt(dCov^2 / sqrt(dVar_x dVar_y))

    It is the sample's value, which of few pairs in many dimensions is high for independent ones too.

    Args:
        x: (N, ...).
        y: (N, ...), any other shape.
    """
    a, b = _centred(x), _centred(y)
    covariance = (a * b).mean().clamp(min=0)
    variances = ((a * a).mean() * (b * b).mean()).clamp(min=TINY**2).sqrt()
    return (covariance / variances + TINY).sqrt()


def _centred(x: Tensor) -> Tensor:
    flat = x.flatten(1)
    distances = torch.cdist(flat, flat)
    return distances - distances.mean(0) - distances.mean(1, keepdim=True) + distances.mean()
