import doctest
import sys

import numpy as np
import pytest
import torch
from sklearn import metrics

from raygan import scores as table
from raygan.evaluation.classifier import QUICK
from raygan.evaluation.drawing import RealDomain
from raygan.evaluation.images import as_images, as_uint8, scaled
from raygan.evaluation.scores import usefulness
from raygan.evaluation.scores.state import Batch, Reference
from raygan.evaluation.scores.usefulness import TrainedClassifier, classification_scores

from .real import real_domain
from .toy import NUM_CLASSES


def trained(images, labels, tests, num_classes):
    """The score of generated images, as bytes, against a real test set."""
    real = RealDomain("toy", images, labels, *tests, num_classes)
    state = TrainedClassifier(Reference(real, None), seed=0)
    state.update(Batch(torch.as_tensor(labels), images=as_uint8(scaled(as_images(images)))))
    return state.compute()


def test_scores_by_hand():
    # confusion (rows true): [[1, 1, 0], [0, 2, 0], [1, 0, 1]]
    scores = classification_scores([0, 1, 1, 1, 0, 2], [0, 0, 1, 1, 2, 2], num_images=6)
    assert scores["accuracy"] == pytest.approx(4 / 6)
    assert scores["precision"] == pytest.approx((1 / 2 + 2 / 3 + 1) / 3)
    assert scores["recall"] == pytest.approx((1 / 2 + 1 + 1 / 2) / 3)
    assert scores["f1"] == pytest.approx((1 / 2 + 4 / 5 + 2 / 3) / 3)
    assert scores["false_positive_rate"] == pytest.approx((1 / 4 + 1 / 4 + 0) / 3)


def test_scores_equal_scikit_learn():
    rng = np.random.default_rng(0)
    predicted, true = rng.integers(0, 7, 300), rng.integers(0, 7, 300)
    scores = classification_scores(predicted, true, num_images=1)
    assert scores["accuracy"] == metrics.accuracy_score(true, predicted)
    assert scores["precision"] == metrics.precision_score(true, predicted, average="macro")
    assert scores["recall"] == metrics.recall_score(true, predicted, average="macro")
    assert scores["f1"] == metrics.f1_score(true, predicted, average="macro")
    # FPR of class c is 1 minus the recall of "not c".
    rates = [1 - metrics.recall_score(true != c, predicted != c) for c in range(7)]
    assert scores["false_positive_rate"] == pytest.approx(np.mean(rates), rel=1e-12)


def test_perfect_and_one_class_predictions():
    true = np.arange(40) % 4
    perfect = classification_scores(true, true, num_images=1)
    assert (perfect["accuracy"], perfect["f1"], perfect["false_positive_rate"]) == (1.0, 1.0, 0.0)
    stuck = classification_scores(np.zeros(40, int), true, num_images=1)
    assert (stuck["accuracy"], stuck["recall"], stuck["false_positive_rate"]) == (0.25, 0.25, 0.25)
    every_image_of_one_class = classification_scores([0, 1, 0], [0, 0, 0], num_images=1)
    assert every_image_of_one_class["false_positive_rate"] == pytest.approx((0 + 1 / 3) / 2)
    alone = classification_scores([2, 2], [2, 2], num_images=1)
    assert (alone["accuracy"], alone["false_positive_rate"]) == (1.0, 0.0)


def test_good_images_are_useful_and_shuffled_labels_are_not(toy, tiny_recipe, monkeypatch):
    monkeypatch.setattr(usefulness, "RECIPE", tiny_recipe)
    images, labels, *tests = toy
    good = trained(images, labels, tests, NUM_CLASSES)
    assert (good["accuracy"], good["images"]) == (1.0, 200)
    shuffled = np.random.default_rng(0).permutation(labels)
    useless = trained(images, shuffled, tests, NUM_CLASSES)
    assert useless["accuracy"] < 0.6  # chance is 0.25


def test_the_docstrings_examples_hold():
    for module in (sys.modules["raygan.evaluation.scores.usefulness"], table):
        results = doctest.testmod(module)
        assert results.attempted > 0
        assert results.failed == 0


@pytest.mark.slow
def test_real_images_with_shuffled_labels_are_useless(monkeypatch):
    monkeypatch.setattr(usefulness, "RECIPE", QUICK)
    images, labels, *tests = real_domain("mnist")
    rows = np.random.default_rng(0).permutation(len(images))[:5000]
    shuffled = np.random.default_rng(1).permutation(labels[rows])
    scores = trained(images[rows], shuffled, tests, 10)
    print(scores)
    assert scores["accuracy"] < 0.15
    assert scores["false_positive_rate"] == pytest.approx(0.1, abs=0.03)
