"""The three pure scores: hand numbers, and scikit-learn as the reference."""

import doctest
import math
import sys

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, adjusted_rand_score

from raygan.errors import InputError
from raygan.evaluation import cluster_agreement, generation_score, label_agreement


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
    assert generation_score(p) == pytest.approx(
        math.exp(0.75 * math.log(1.5) + 0.25 * math.log(0.5)), rel=1e-14
    )


def test_generation_score_of_mode_collapse_is_one():
    assert generation_score(np.tile(np.eye(10)[3], (100, 1))) == pytest.approx(1, abs=1e-14)


@pytest.mark.filterwarnings("ignore:Metric `InceptionScore`", "ignore:std")
def test_generation_score_equals_torchmetrics_inception_score():
    torch = pytest.importorskip("torch")
    inception = pytest.importorskip("torchmetrics.image.inception")
    logits = torch.randn(300, 10, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 3
    identity = torch.nn.Identity()
    metric = inception.InceptionScore(feature=identity, splits=1)
    metric.update(logits)
    expected = float(metric.compute()[0])
    assert generation_score(logits.softmax(dim=1).numpy()) == pytest.approx(expected, rel=1e-6)


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


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        ([0.5, 0.5], r"probabilities: shape \(2,\); pass \(images, classes\)"),
        (np.empty((0, 3)), "shape \\(0, 3\\)"),
        ([[0.5, 0.6]], "row sums from 1.1 to 1.1; pass rows that are >= 0 and sum to 1"),
        ([[1.5, -0.5]], "values from -0.5"),
        ([[float("nan"), 1.0]], "pass rows that are >= 0 and sum to 1"),
    ],
)
def test_what_is_no_probability_is_refused(probabilities, message):
    with pytest.raises(InputError, match=message):
        generation_score(probabilities)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0], r"labels: int64 of shape \(1,\); pass integers of shape \(2,\)"),
        ([0.0, 1.0], "pass integers"),
        ([0, 2], "labels from 0 to 2; number the 2 classes 0..1"),
        ([-1, 1], "labels from -1 to 1"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(InputError, match=message):
        label_agreement([[1.0, 0.0], [0.0, 1.0]], labels)


@pytest.mark.parametrize(("found", "true"), [([], []), ([0], [0, 1])])
def test_cluster_lists_that_do_not_fit_are_refused(found, true):
    with pytest.raises(InputError, match=rf"{len(found)} found and {len(true)} true; pass one of each"):
        cluster_agreement(found, true)


@pytest.mark.parametrize("name", ["generation_score", "label_agreement", "cluster_agreement"])
def test_the_docstrings_examples_hold(name):
    module = sys.modules[sys.modules["raygan.evaluation"].__dict__[name].__module__]
    results = doctest.testmod(module)
    assert results.attempted > 0
    assert results.failed == 0
