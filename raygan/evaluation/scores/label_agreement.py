"""Label agreement: does a conditional sample show what was asked for?"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from raygan.errors import InputError
from raygan.evaluation.probabilities import as_probabilities
from raygan.evaluation.scores.state import Batch, Reference


class LabelAgreement:
    """`label_agreement` of all batches: images that agree, and images."""

    def __init__(self, reference: Reference, seed: int) -> None:
        self._agreeing = self._images = 0

    def update(self, batch: Batch) -> None:
        """Adds probabilities and labels."""
        assert batch.probabilities is not None
        self._agreeing += num_agreeing(batch.probabilities, batch.labels)
        self._images += len(batch)

    def merge(self, other: LabelAgreement) -> None:
        """Adds both counts."""
        self._agreeing += other._agreeing
        self._images += other._images

    def compute(self) -> float:
        """The share."""
        return self._agreeing / self._images


def label_agreement(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> float:
    """Share of conditional samples that the domain's classifier gives the label they were asked for.

        LA = 1/N sum_i [ argmax_y p(y|x_i) = y_i ]

    It is the accuracy of a classifier trained on real images and tested on generated ones (GAN-test of
    Shmelkov et al. 2018, arXiv 1807.09499). Real images score the classifier's own accuracy, an
    unconditional generator 1/K.

    Args:
        probabilities: p(y|x), (N, K), >= 0, rows sum to 1; of equal probabilities the first class counts.
        labels: the labels asked for, integers (N,) in 0..K-1.

    Returns:
        A number from 0 to 1, float64.

    Raises:
        InputError: shapes that do not fit, rows that are not probabilities, labels out of range.

    Example:
        >>> label_agreement([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]], [0, 1, 1, 0])
        0.75
    """
    return num_agreeing(probabilities, labels) / len(np.asarray(labels))


def num_agreeing(probabilities: npt.ArrayLike, labels: npt.ArrayLike) -> int:
    """How many samples get the label that they were asked for; arguments and errors as above."""
    p = as_probabilities(probabilities)
    y = np.asarray(labels)
    if y.shape != (len(p),) or not np.issubdtype(y.dtype, np.integer):
        raise InputError("labels", f"{y.dtype} of shape {y.shape}", f"pass integers of shape ({len(p)},)")
    if y.min() < 0 or y.max() >= p.shape[1]:
        found = f"labels from {y.min()} to {y.max()}"
        raise InputError("labels", found, f"number the {p.shape[1]} classes 0..{p.shape[1] - 1}")
    return int(np.count_nonzero(p.argmax(axis=1) == y))
