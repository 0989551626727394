import dataclasses
import importlib.util
import warnings

import numpy as np
import pytest
import torch

from raygan.errors import DataError, InputError
from raygan.evaluation import Evaluator, RealDomain, classifier_fid
from raygan.evaluation import evaluator as evaluator_module

from .toy import NUM_CLASSES, toy_images, toy_labels


@pytest.fixture
def evaluator(toy, tiny_recipe):
    return Evaluator.create([RealDomain("toy", *toy, NUM_CLASSES)], recipe=tiny_recipe)


def without_seconds(scores):
    return dataclasses.replace(scores, seconds=0.0)


def test_a_perfect_generator_scores_as_real_images_do(evaluator, perfect_sample):
    scores = evaluator.score("toy", perfect_sample, num_images=400)
    real = evaluator.score_real("toy")
    assert (scores.domain, scores.images, scores.label_agreement) == ("toy", 400, 1.0)
    assert scores.generation_score == pytest.approx(real.generation_score, rel=0.2)
    assert 2 < scores.generation_score <= NUM_CLASSES
    assert scores.seconds > 0
    assert (scores.usefulness, scores.inception_fid) == (None, None)


def test_noise_scores_badly(evaluator, perfect_sample):
    good = evaluator.score("toy", perfect_sample, num_images=100)
    noise = evaluator.score("toy", lambda labels: torch.rand(len(labels), 1, 8, 8) * 2 - 1, num_images=100)
    assert noise.label_agreement < 0.6
    assert noise.generation_score < good.generation_score
    assert noise.fid > good.fid


def test_a_generator_that_ignores_labels_agrees_by_chance(evaluator, perfect_sample):
    scores = evaluator.score("toy", lambda labels: perfect_sample(labels * 0), num_images=400)
    assert scores.label_agreement == 0.25
    assert scores.generation_score == pytest.approx(1, abs=0.1)


def test_the_seed_decides_and_the_global_generator_is_left_alone(evaluator, perfect_sample):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = evaluator.score("toy", perfect_sample, num_images=700, seed=1)
    assert torch.equal(torch.rand(3), expected)
    again = evaluator.score("toy", perfect_sample, num_images=700, seed=1)
    other = evaluator.score("toy", perfect_sample, num_images=700, seed=2)
    assert without_seconds(first) == without_seconds(again)
    assert first.fid != other.fid


def test_labels_are_even_and_batches_bounded(evaluator, perfect_sample):
    seen = []

    def sample(labels):
        assert torch.is_inference_mode_enabled()
        seen.append(labels)
        return perfect_sample(labels)

    evaluator.score("toy", sample, num_images=1202)
    assert [len(labels) for labels in seen] == [500, 500, 202]
    counts = torch.cat(seen).bincount(minlength=NUM_CLASSES)
    assert counts.tolist() == [301, 301, 300, 300]
    assert all(len(labels.unique()) == NUM_CLASSES for labels in seen)


def test_only_classes_that_the_domain_has_are_asked_for(tiny_recipe, perfect_sample):
    labels = np.array([0, 3] * 30)
    images = toy_images(labels)
    domain = RealDomain("few", images, labels, images, labels, NUM_CLASSES)
    evaluator = Evaluator.create([domain], recipe=tiny_recipe)
    seen = []
    evaluator.score("few", lambda y: seen.append(y) or perfect_sample(y), num_images=20)
    assert torch.cat(seen).unique().tolist() == [0, 3]


def test_fid_is_that_of_the_images_that_were_drawn(evaluator, toy, perfect_sample):
    pytest.importorskip("torchmetrics")
    drawn = []

    def sample(labels):
        drawn.append(perfect_sample(labels))
        return drawn[-1]

    scores = evaluator.score("toy", sample, num_images=60)
    expected = classifier_fid(evaluator.classifier("toy"), toy[2], torch.cat(drawn).numpy())
    assert scores.fid == pytest.approx(expected, rel=1e-6)


def test_without_torchmetrics_there_is_one_warning_and_no_fid(evaluator, perfect_sample, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "torchmetrics" else find(n))
    with pytest.warns(UserWarning, match="FID is skipped: torchmetrics is not installed"):
        first = evaluator.score("toy", perfect_sample, num_images=10)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = evaluator.score("toy", perfect_sample, num_images=10)
    assert first.fid is None
    assert set(scores.named()) == {"generation_score_10", "label_agreement_10"}


def test_usefulness_is_computed_when_asked_for(evaluator, perfect_sample, tiny_recipe):
    usefulness = evaluator.usefulness("toy", perfect_sample, num_images=600, recipe=tiny_recipe)
    assert (usefulness.accuracy, usefulness.images) == (1.0, 600)
    scores = evaluator.score(
        "toy", perfect_sample, num_images=1000, usefulness_images=600, usefulness_recipe=tiny_recipe
    )
    assert scores.usefulness == usefulness
    assert scores.named()["accuracy_600"] == 1.0
    assert scores.named()["generation_score_1k"] == scores.generation_score


def test_inception_is_a_warning_where_it_is_not_at_hand(evaluator, perfect_sample, monkeypatch):
    monkeypatch.setattr(evaluator_module, "why_no_inception", lambda: "Inception FID is skipped: no weights")
    with pytest.warns(UserWarning, match="Inception FID is skipped: no weights"):
        scores = evaluator.score("toy", perfect_sample, num_images=10, with_inception=True)
    assert scores.inception_fid is None


def test_inception_judges_the_same_images(evaluator, toy, perfect_sample, monkeypatch):
    monkeypatch.setattr(evaluator_module, "why_no_inception", lambda: None)
    monkeypatch.setattr(evaluator_module, "inception_fid", lambda real, images: float(len(images)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = evaluator.score("toy", perfect_sample, num_images=30, with_inception=True)
    assert scores.named()["inception_fid_30"] == 30.0


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            lambda n: torch.zeros(n, 1, 8, 12),
            r"generator for toy: gave images of shape \(20, 1, 8, 12\); make",
        ),
        (lambda n: torch.full((n, 1, 8, 8), float("nan")), "values that are not finite: it has diverged"),
        (lambda n: torch.full((n, 1, 8, 8), 5.0), r"float values from 5 to 5; scale them to \[-1, 1\]"),
    ],
)
def test_what_is_no_image_is_refused(evaluator, images, message):
    with pytest.raises(InputError, match=message):
        evaluator.score("toy", lambda labels: images(len(labels)), num_images=20)


def test_unknown_domains_and_counts_are_refused(evaluator, perfect_sample):
    with pytest.raises(InputError, match="domain: 'faces' is unknown; use one of toy"):
        evaluator.score("faces", perfect_sample)
    with pytest.raises(InputError, match=r"evaluation.images: 1; ask for at least 2"):
        evaluator.score("toy", perfect_sample, num_images=1)


def test_domains_that_do_not_fit_are_refused(toy, tiny_recipe):
    images, labels, test_images, test_labels = toy
    with pytest.raises(InputError, match=r"toy: test images \(1, 12, 12\), training images \(1, 8, 8\)"):
        RealDomain("toy", images, labels, toy_images(test_labels, size=12), test_labels, NUM_CLASSES)
    with pytest.raises(DataError, match="toy: test labels: labels from 0 to 3; number the 3 classes"):
        RealDomain("toy", images, np.minimum(labels, 2), test_images, test_labels, 3)
    domain = RealDomain("toy", *toy, NUM_CLASSES)
    with pytest.raises(InputError, match="two domains of one name"):
        Evaluator.create([domain, domain], recipe=tiny_recipe)


def test_domains_of_different_class_counts_stand_side_by_side(toy, tiny_recipe, perfect_sample):
    labels = toy_labels(60) % 2
    pair = (toy_images(labels, channels=3), labels)
    domains = [RealDomain("grey", *toy, NUM_CLASSES), RealDomain("colour", *pair, *pair, 2)]
    evaluator = Evaluator.create(domains, recipe=tiny_recipe)
    colour = evaluator.score("colour", lambda y: perfect_sample(y).expand(-1, 3, -1, -1), num_images=50)
    assert colour.label_agreement == 1.0
    assert evaluator.classifier("colour").num_classes == 2
    assert evaluator.score("grey", perfect_sample, num_images=50).label_agreement == 1.0
