"""Usefulness: how well a CNN that saw only synthetic images does on real ones."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch

from raygan.evaluation.classifier import USEFULNESS, train_classifier
from raygan.evaluation.scores.state import Batch, Reference

RECIPE = USEFULNESS
Classes = npt.NDArray[np.generic]


class TrainedClassifier:
    """Trains a CNN on synthetic images alone and tests it on the domain's real test set.

    The measure of HuSCF-GAN (arXiv 2507.12979), which uses N = 30,000 synthetic images of a domain; also known as
    GAN-train (Shmelkov et al. 2018, arXiv 1807.09499). Keeps the images and trains on them at the end, which takes
    minutes on CPUs.
    """

    def __init__(self, reference: Reference, seed: int) -> None:
        self._reference, self._seed = reference, seed
        self._images: list[torch.Tensor] = []
        self._labels: list[torch.Tensor] = []

    def update(self, batch: Batch) -> None:
        """Adds images with their labels."""
        assert batch.images is not None
        self._images.append(batch.images)
        self._labels.append(batch.labels)

    def merge(self, other: TrainedClassifier) -> None:
        """Adds the other's images."""
        self._images += other._images
        self._labels += other._labels

    def compute(self) -> Mapping[str, float]:
        """As `classification_scores`.

        Raises:
            InputError: images or labels of another form, fewer than 2, or of another shape than the test images.
        """
        real, images, labels = self._reference.real, torch.cat(self._images), torch.cat(self._labels)
        classifier = train_classifier(images, labels, real.num_classes, RECIPE, self._seed)
        predicted = classifier.logits(real.test_images).argmax(dim=1).numpy()
        return classification_scores(predicted, real.test_labels.numpy(), num_images=len(images))


def classification_scores(predicted: npt.ArrayLike, true: npt.ArrayLike, num_images: int) -> dict[str, float]:
    """The five scores of a classifier's predictions, by scikit-learn, each from 0 to 1.

    `accuracy` is the share whose class was found. The others are means over the classes that occur in either list
    (macro): `precision` TP / (TP + FP), 0 for a class that was never predicted; `recall` TP / (TP + FN); `f1`
    2 precision recall / (precision + recall), class by class; `false_positive_rate` FP / (FP + TN), lower is better.

    Args:
        predicted, true: class numbers, integers (M,), M >= 1.
        num_images: what the classifier was trained on, told as `images`.

    Example:
        >>> scores = classification_scores([0, 1, 1, 1], [0, 0, 1, 1], num_images=30_000)
        >>> scores["accuracy"], scores["recall"], scores["false_positive_rate"]
        (0.75, 0.75, 0.25)
    """
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support  # slow to import

    found, asked = np.asarray(predicted), np.asarray(true)
    precision, recall, f1, _ = precision_recall_fscore_support(asked, found, average="macro", zero_division=0)
    return {
        "images": num_images,
        "accuracy": float(accuracy_score(asked, found)),
        "precision": float(precision),
        "recall": float(recall),
        "f1": float(f1),
        "false_positive_rate": _macro_false_positive_rate(found, asked),
    }


def _macro_false_positive_rate(predicted: Classes, true: Classes) -> float:
    from sklearn.metrics import confusion_matrix

    if len(np.union1d(true, predicted)) == 1:
        return 0.0  # no negatives at all
    confusion = confusion_matrix(true, predicted)  # rows: true, columns: predicted
    false_positives = confusion.sum(axis=0) - confusion.diagonal()
    negatives = confusion.sum() - confusion.sum(axis=1)
    # A class that every test image has leaves no negatives: its rate counts as 0.
    return float(np.mean(false_positives / np.maximum(negatives, 1)))
