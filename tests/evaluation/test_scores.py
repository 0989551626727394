"""The three pure scores: hand numbers, and scikit-learn as the reference."""

import doctest
import math
import sys

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, adjusted_rand_score
from torchmetrics.image.inception import InceptionScore

from raygan.algorithms.clusters import cluster_agreement
from raygan.evaluation.scores.generation_score import generation_score
from raygan.evaluation.scores.label_agreement import LabelAgreement
from raygan.evaluation.scores.state import Batch


def random_probabilities(num_images=200, num_classes=5, seed=0):
    return np.random.default_rng(seed).dirichlet(np.ones(num_classes), num_images)


@pytest.mark.parametrize("num_classes", [1, 2, 7, 10])
def test_generation_score_of_uniform_probabilities_is_one(num_classes):
    p = np.full((50, num_classes), 1 / num_classes)
    assert generation_score(p) == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("num_classes", [1, 2, 7, 10])
def test_generation_score_of_sure_and_even_probabilities_is_the_number_of_classes(num_classes):
    p = np.tile(np.eye(num_classes), (4, 1))
    assert generation_score(p) == pytest.approx(num_classes, rel=1e-14)


def test_generation_score_of_a_hand_example():
    # p(y) = (1/2, 1/2); each KL = 3/4 log(3/2) + 1/4 log(1/2)
    p = [[0.75, 0.25], [0.25, 0.75]]
    assert generation_score(p) == pytest.approx(math.exp(0.75 * math.log(1.5) + 0.25 * math.log(0.5)), rel=1e-14)


def test_generation_score_of_mode_collapse_is_one():
    assert generation_score(np.tile(np.eye(10)[3], (100, 1))) == pytest.approx(1, abs=1e-14)


@pytest.mark.filterwarnings("ignore:Metric `InceptionScore`", "ignore:std")
def test_generation_score_equals_torchmetrics_inception_score():
    logits = torch.randn(300, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    identity = torch.nn.Identity()
    metric = InceptionScore(feature=identity, splits=1)
    metric.update(logits)
    expected = float(metric.compute()[0])
    assert generation_score(logits.softmax(dim=1).numpy()) == pytest.approx(expected, rel=1e-6)


def label_agreement(probabilities, labels):
    state = LabelAgreement(None, seed=0)
    state.update(Batch(torch.as_tensor(labels), np.asarray(probabilities)))
    return state.compute()


def test_label_agreement_by_hand():
    p = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]]
    assert label_agreement(p, [0, 1, 1, 0]) == 0.75
    assert label_agreement(p, [1, 0, 1, 1]) == 0.0


def test_label_agreement_equals_scikit_learn():
    p = random_probabilities()
    labels = np.random.default_rng(1).integers(0, 5, len(p))
    assert label_agreement(p, labels) == accuracy_score(labels, p.argmax(axis=1))


def test_cluster_agreement_ignores_names_and_equals_scikit_learn():
    true = ["mnist"] * 3 + ["fashion"] * 3
    assert cluster_agreement([1, 1, 1, 0, 0, 0], true) == 1.0
    assert cluster_agreement([0] * 6, true) == 0.0
    # 3 pairs of 6 clients: ARI of one client astray, from the pair counts: (4 - 2.8) / (6.5 - 2.8)
    assert cluster_agreement([0, 0, 1, 1, 1, 1], true) == pytest.approx((4 - 2.8) / (6.5 - 2.8), rel=1e-12)
    found = np.random.default_rng(0).integers(0, 3, 40).tolist()
    domains = np.random.default_rng(1).integers(0, 4, 40).tolist()
    assert cluster_agreement(found, domains) == pytest.approx(adjusted_rand_score(domains, found), rel=1e-12)


@pytest.mark.parametrize("name", ["generation_score", "cluster_agreement"])
def test_the_docstrings_examples_hold(name):
    results = doctest.testmod(sys.modules[globals()[name].__module__])
    assert results.attempted > 0
    assert results.failed == 0
