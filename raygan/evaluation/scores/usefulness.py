"""Usefulness: how well a CNN that saw only synthetic images does on real ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import torch

from raygan.errors import InputError
from raygan.evaluation.classifier import USEFULNESS, ClassifierRecipe, train_classifier
from raygan.evaluation.images import Images, Labels
from raygan.evaluation.scores.state import Batch, Reference

RECIPE = USEFULNESS
Classes = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Usefulness:
    """Scores on the real test set, each from 0 to 1; all but accuracy are means over classes (macro)."""

    images: int
    """Synthetic images that the CNN was trained on (N), which names with a count tell: `accuracy_30k`."""
    accuracy: float
    """Share of test images whose class was found."""
    precision: float
    """TP / (TP + FP); 0 for a class that was never predicted."""
    recall: float
    """TP / (TP + FN)."""
    f1: float
    """2 precision recall / (precision + recall), class by class."""
    false_positive_rate: float
    """FP / (FP + TN); lower is better."""


class TrainedClassifier:
    """`usefulness` of all batches: keeps the images and trains on them at the end. Takes minutes on CPUs."""

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
        """The fields of `Usefulness`."""
        real, device = self._reference.real, self._reference.device
        generated = torch.cat(self._images), torch.cat(self._labels)
        tests = real.test_images, real.test_labels
        return asdict(usefulness(*generated, *tests, real.num_classes, RECIPE, self._seed, device))


def usefulness(
    images: Images,
    labels: Labels,
    test_images: Images,
    test_labels: Labels,
    num_classes: int,
    recipe: ClassifierRecipe = RECIPE,
    seed: int = 0,
    device: str = "cpu",
) -> Usefulness:
    """Train a CNN on synthetic images alone and test it on the real test set.

    The measure of HuSCF-GAN (arXiv 2507.12979), which uses N = 30,000 synthetic images of a domain; also
    known as GAN-train (Shmelkov et al. 2018, arXiv 1807.09499).

    Args:
        images: synthetic, (N, C, H, W) float32 in [-1, 1] or uint8, any form of `as_images`; N >= 2.
        labels: the labels that they were generated for, integers (N,) in 0..num_classes-1.
        test_images, test_labels: the domain's real test set, in the same forms.
        num_classes: classes of the domain.
        recipe: the CNN and its training.
        seed: of the CNN's training.
        device: torch device of the CNN.

    Raises:
        DataError: images or labels of another form.
        InputError: test images of another shape than the synthetic ones.
    """
    classifier = train_classifier(images, labels, num_classes, recipe, seed, device)
    predicted = classifier.logits(test_images).argmax(dim=1).numpy()
    return classification_scores(predicted, np.asarray(test_labels), num_images=len(images))


def classification_scores(predicted: npt.ArrayLike, true: npt.ArrayLike, num_images: int) -> Usefulness:
    """The five scores of a classifier's predictions, by scikit-learn.

    Macro means go over the classes that occur in either list.

    Args:
        predicted, true: class numbers, integers (M,), M >= 1.
        num_images: what the classifier was trained on.

    Raises:
        InputError: lists of different lengths, or empty.

    Example:
        >>> scores = classification_scores([0, 1, 1, 1], [0, 0, 1, 1], num_images=30_000)
        >>> scores.accuracy, scores.recall, scores.false_positive_rate
        (0.75, 0.75, 0.25)
    """
    from sklearn.metrics import accuracy_score, precision_recall_fscore_support  # slow to import

    found, asked = np.asarray(predicted), np.asarray(true)
    if found.shape != asked.shape or found.ndim != 1 or found.size == 0:
        shapes = f"{found.shape} predictions and {asked.shape} labels"
        raise InputError("test labels", shapes, "pass one label for each test image, at least one")
    precision, recall, f1, _ = precision_recall_fscore_support(asked, found, average="macro", zero_division=0)
    return Usefulness(
        images=num_images,
        accuracy=float(accuracy_score(asked, found)),
        precision=float(precision),
        recall=float(recall),
        f1=float(f1),
        false_positive_rate=_macro_false_positive_rate(found, asked),
    )


def _macro_false_positive_rate(predicted: Classes, true: Classes) -> float:
    from sklearn.metrics import confusion_matrix

    if len(np.union1d(true, predicted)) == 1:
        return 0.0  # no negatives at all
    confusion = confusion_matrix(true, predicted)  # rows: true, columns: predicted
    false_positives = confusion.sum(axis=0) - confusion.diagonal()
    negatives = confusion.sum() - confusion.sum(axis=1)
    # A class that every test image has leaves no negatives: its rate counts as 0.
    return float(np.mean(false_positives / np.maximum(negatives, 1)))
