"""How alike the clients' images are, as weights of a mixture: numpy only.

A client's images are a Gaussian N(mu_k, diag(s_k^2)) of features. From client k to client j

    KL(k || j) = 1/2 sum_f [ s_kf^2 / s_jf^2 + (mu_kf - mu_jf)^2 / s_jf^2 - 1 + ln(s_jf^2 / s_kf^2) ]
    w_kj = exp(-KL(k || j) / (T m)) / sum over the others,   w_kk = 0

m the median of all KL between two clients, so that the temperature T needs no unit.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from raygan.federated import Floats

LEAST_VARIANCE = 1e-3
"""Of a feature, as a share of its mean variance: one that is dead for a client says nothing."""


def gaussian_kl(features: Sequence[Floats]) -> Floats:
    """(K, K) KL(k || j) of K clients' features, each (N_k, F)."""
    means = np.stack([one.mean(axis=0) for one in features])
    variances = np.stack([one.var(axis=0) for one in features])
    variances = np.maximum(variances, LEAST_VARIANCE * variances.mean(axis=0) + np.finfo(float).tiny)
    ratio = variances[:, None] / variances[None]
    apart = (means[:, None] - means[None]) ** 2 / variances[None]
    divergence: Floats = 0.5 * (ratio + apart - 1 - np.log(ratio)).sum(axis=2)
    return divergence


def mixing_weights(divergence: Floats, temperature: float) -> Floats:
    """(K, K) w_kj; rows sum to 1, the diagonal is 0; of one client there is nothing to mix.

    Args:
        divergence: (K, K) KL(k || j).
        temperature: T; the lower, the more counts who is alike.
    """
    others = ~np.eye(len(divergence), dtype=bool)
    if not others.any():
        return np.zeros_like(divergence)
    scale = temperature * max(float(np.median(divergence[others])), np.finfo(float).tiny)
    nearest = np.where(others, divergence, np.inf).min(axis=1, keepdims=True)
    weights = np.where(others, np.exp(-(divergence - nearest) / scale), 0.0)
    normed: Floats = weights / weights.sum(axis=1, keepdims=True)
    return normed
