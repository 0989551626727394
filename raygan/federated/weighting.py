"""How much each member counts in its cluster's average (arXiv 2507.12979; step "Weigh" of a round's end).

P_k[c, :] = softmax over the positions s of the batch mean of channel c of the anchor activation
Q_k       = mean of P_j over the other members j of k's cluster
KLD_k     = (1/C) sum_c sum_s Q_k log(Q_k / P_k)
w_k       = n_k exp(-beta KLD_k) / sum over the cluster
"""

from __future__ import annotations

import numpy as np
from scipy.special import log_softmax, logsumexp, rel_entr

from raygan.federated import Floats


def kld_weighting(maps: Floats, num_samples: Floats, beta: float) -> tuple[Floats, Floats]:
    """KLD_k and w_k of one cluster's members; arguments as for `member_kld` and `kld_weights`."""
    kld = member_kld(maps)
    return kld, kld_weights(num_samples, kld, beta)


def member_kld(maps: Floats) -> Floats:
    """KLD of each member of one cluster against the others.

    Args:
        maps: (K, C, S), batch means of the anchor activation, positions flattened.

    Returns:
        (K,) float64, nats; 0 for a cluster of one. NaN or inf where a member's map is not finite; the
        others are weighed without it.
    """
    finite = np.isfinite(maps).all(axis=(1, 2))
    kld = np.where(finite, 0.0, np.nan)
    if finite.sum() > 1:
        log_p = log_softmax(maps[finite].astype(np.float64), axis=-1)
        p = np.exp(log_p)
        q = (p.sum(axis=0) - p) / (len(p) - 1)
        kld[finite] = _kld(q, p, log_p)
    return kld


def _kld(q: Floats, p: Floats, log_p: Floats) -> Floats:
    """(1/C) sum_c sum_s q log(q / p); where p underflows to 0 its logarithm is used as it is."""
    terms = np.where(p > 0, rel_entr(q, p), q * (np.log(np.maximum(q, np.finfo(float).tiny)) - log_p))
    return np.asarray(terms.sum(axis=-1).mean(axis=-1))


def kld_weights(num_samples: Floats, kld: Floats, beta: float) -> Floats:
    """w_k = n_k exp(-beta KLD_k) / sum.

    Args:
        num_samples: (K,) training images of each member.
        kld: (K,) nats. A member whose KLD is not finite gets weight 0 (its fault is the caller's to report).
        beta: sharpness; 0 gives weights proportional to `num_samples`.

    Returns:
        (K,) float64 that sum to 1; proportional to `num_samples` if no KLD is finite.
    """
    finite = np.isfinite(kld)
    if not finite.any():
        return np.asarray(num_samples / num_samples.sum())
    log_w = np.where(finite, np.log(num_samples) - beta * np.where(finite, kld, 0.0), -np.inf)
    return np.asarray(np.exp(log_w - logsumexp(log_w)))
