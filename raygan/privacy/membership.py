"""Was this image in the training set? From a finished generator, and from its discriminator.

Chen, Yu, Zhang, Fritz 2020 (GAN-Leaks, arXiv 1909.03935): how near the nearest sample is. Hayes, Melis, Danezis, De
Cristofaro 2019 (LOGAN, arXiv 1705.07663): what D says.
Shapes: images (N, C, S, S), scores (N,), the higher the likelier a member.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from raygan.privacy.sight import Images

FALSE_POSITIVES = 0.01
RESAMPLES = 200


def nearness(samples: Images, images: Images) -> Tensor:
    """(N,) minus the distance of each image to the nearest sample of its label; of a label without samples, the least."""
    found = torch.full((len(images),), torch.inf)
    for label in images.labels.unique().tolist():
        mine, theirs = images.labels == label, samples.labels == label
        if theirs.any():
            away = torch.cdist(images.images[mine].flatten(1), samples.images[theirs].flatten(1))
            found[mine] = away.min(1).values
    known = found[found.isfinite()]
    return -found.clamp(max=float(known.max()) if len(known) else 0.0)


def membership_figures(members: Tensor, outsiders: Tensor, seed: int) -> dict[str, float]:
    """AUC with its 95% interval (bootstrap), and the share of members found where 1% of the others are taken for some.

    Args:
        members, outsiders: scores, (N,) and (M,).
    """
    from sklearn.metrics import roc_auc_score, roc_curve  # slow to import

    scores = torch.cat([members, outsiders]).double().numpy()
    truth = np.repeat([1, 0], [len(members), len(outsiders)])
    rng, drawn = np.random.default_rng(seed), []
    for _ in range(RESAMPLES):
        rows = np.concatenate([np.flatnonzero(truth == side)[rng.integers(n, size=n)] for side, n in _counts(truth)])
        drawn.append(roc_auc_score(truth[rows], scores[rows]))
    low, high = np.quantile(drawn, [0.025, 0.975])
    false, true, _ = roc_curve(truth, scores)
    return {
        "auc": float(roc_auc_score(truth, scores)),
        "auc_low": float(low),
        "auc_high": float(high),
        "found_at_1_percent": float(true[false <= FALSE_POSITIVES].max()),
    }


def _counts(truth: np.ndarray) -> list[tuple[int, int]]:
    return [(side, int((truth == side).sum())) for side in (1, 0)]
