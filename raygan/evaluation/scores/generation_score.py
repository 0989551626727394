"""Generation score: the inception-score formula with the domain's own classifier."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import rel_entr

from raygan.evaluation.scores.state import Batch, Reference


class GenerationScore:
    """`generation_score` of all batches.

    Keeps their rows (80 bytes an image of 10 classes), not sums: the value is the formula's own to the last bit,
    whatever the parts.
    """

    def __init__(self, reference: Reference, seed: int) -> None:
        self._rows: list[npt.NDArray[np.float64]] = []

    def update(self, batch: Batch) -> None:
        """Adds probabilities."""
        assert batch.probabilities is not None
        self._rows.append(batch.probabilities)

    def merge(self, other: GenerationScore) -> None:
        """Adds the other's rows."""
        self._rows += other._rows

    def compute(self) -> float:
        """The score."""
        return generation_score(np.concatenate(self._rows))


def generation_score(probabilities: npt.ArrayLike) -> float:
    """Generation score: clear images of many classes score high.

        GS = exp( 1/N sum_i KL( p(y|x_i) || p(y) ) ),   p(y) = 1/N sum_i p(y|x_i)

    The inception score's formula (Salimans et al. 2016, arXiv 1606.03498, section 4) over all images at
    once, without splits; HuSCF-GAN (arXiv 2507.12979) computes it with a classifier trained on the domain's
    real images and 5,000 images. It depends on N: `with_count` names it with N.

    From p(y|x) (N, K), N >= 1 images, K >= 1 classes, to a number from 1 (every image gets the same probabilities) to K
    (each class equally often, and surely), computed in float64; 0 log 0 = 0.

    Example:
        >>> generation_score([[0.5, 0.5], [0.5, 0.5]])
        1.0
        >>> round(generation_score([[1.0, 0.0], [0.0, 1.0]]), 12)
        2.0
    """
    p = np.asarray(probabilities, dtype=np.float64)
    divergences = rel_entr(p, p.mean(axis=0)).sum(axis=1)
    return float(np.exp(divergences.mean()))
