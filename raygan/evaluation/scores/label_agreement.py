"""Label agreement: does a conditional sample show what was asked for?"""

from __future__ import annotations

import numpy as np

from raygan.evaluation.scores.state import Batch, Reference


class LabelAgreement:
    """Share of conditional samples that the domain's classifier gives the label they were asked for, from 0 to 1.

        LA = 1/N sum_i [ argmax_y p(y|x_i) = y_i ]

    It is the accuracy of a classifier trained on real images and tested on generated ones (GAN-test of Shmelkov et al.
    2018, arXiv 1807.09499). Real images score the classifier's own accuracy, an unconditional generator 1/K. Of equal
    probabilities the first class counts.
    """

    def __init__(self, reference: Reference, seed: int) -> None:
        self._agreeing = self._images = 0

    def update(self, batch: Batch) -> None:
        """Adds probabilities and labels."""
        assert batch.probabilities is not None
        self._agreeing += int(np.count_nonzero(batch.probabilities.argmax(axis=1) == batch.labels.numpy()))
        self._images += len(batch)

    def merge(self, other: LabelAgreement) -> None:
        """Adds both counts."""
        self._agreeing += other._agreeing
        self._images += other._images

    def compute(self) -> float:
        """The share."""
        return self._agreeing / self._images
