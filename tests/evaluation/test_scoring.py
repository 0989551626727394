import warnings

import numpy as np
import pytest
import torch

from raygan.errors import DataError, InputError
from raygan.evaluation import scoring
from raygan.evaluation.classifier import train_classifier
from raygan.evaluation.drawing import RealDomain
from raygan.evaluation.scores import inception_fid as inception_module
from raygan.evaluation.scores import usefulness as usefulness_module
from raygan.evaluation.scores.state import Batch, Reference, new_state
from raygan.scores import SCORES, every_round, names

from .toy import NUM_CLASSES, toy_images, toy_labels


def judged(domain, recipe):
    """A domain with its classifier."""
    return Reference(domain, train_classifier(domain.train_images, domain.train_labels, domain.num_classes, recipe))


@pytest.fixture
def reference(toy, tiny_recipe):
    return judged(RealDomain("toy", *toy, NUM_CLASSES), tiny_recipe)


def scored(reference, sample, num_images=5000, seed=0):
    """The scores of every round."""
    return scoring.score(reference, sample, dict.fromkeys(every_round(), num_images), seed)


def test_a_perfect_generator_scores_as_real_images_do(reference, perfect_sample):
    scores = scored(reference, perfect_sample, 400)
    real = scoring.score_real(reference, SCORES.values())
    assert set(scores) == set(real) == set(names(every_round()))
    assert scores["label_agreement"] == 1.0
    assert scores["generation_score"] == pytest.approx(real["generation_score"], rel=0.2)
    assert 2 < scores["generation_score"] <= NUM_CLASSES


def test_noise_scores_badly(reference, perfect_sample):
    good = scored(reference, perfect_sample, 100)
    noise = scored(reference, lambda labels: torch.rand(len(labels), 1, 8, 8) * 2 - 1, 100)
    assert noise["label_agreement"] < 0.6
    assert noise["generation_score"] < good["generation_score"]
    assert noise["classifier_fid"] > good["classifier_fid"]


def test_a_generator_that_ignores_labels_agrees_by_chance(reference, perfect_sample):
    scores = scored(reference, lambda labels: perfect_sample(labels * 0), 400)
    assert scores["label_agreement"] == 0.25
    assert scores["generation_score"] == pytest.approx(1, abs=0.1)


def test_the_seed_decides_and_the_global_generator_is_left_alone(reference, perfect_sample):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = scored(reference, perfect_sample, 700, seed=1)
    assert torch.equal(torch.rand(3), expected)
    again = scored(reference, perfect_sample, 700, seed=1)
    other = scored(reference, perfect_sample, 700, seed=2)
    assert first == again
    assert first["classifier_fid"] != other["classifier_fid"]


def test_labels_are_even_and_batches_bounded(reference, perfect_sample):
    seen = []

    def sample(labels):
        assert torch.is_inference_mode_enabled()
        seen.append(labels)
        return perfect_sample(labels)

    scored(reference, sample, 1202)
    assert [len(labels) for labels in seen] == [500, 500, 202]
    counts = torch.cat(seen).bincount(minlength=NUM_CLASSES)
    assert counts.tolist() == [301, 301, 300, 300]
    assert all(len(labels.unique()) == NUM_CLASSES for labels in seen)


def test_only_classes_that_the_domain_has_are_asked_for(tiny_recipe, perfect_sample):
    labels = np.array([0, 3] * 30)
    images = toy_images(labels)
    domain = RealDomain("few", images, labels, images, labels, NUM_CLASSES)
    reference = judged(domain, tiny_recipe)
    seen = []
    scored(reference, lambda y: seen.append(y) or perfect_sample(y), 20)
    assert torch.cat(seen).unique().tolist() == [0, 3]


def test_fid_is_that_of_the_images_that_were_drawn(reference, perfect_sample):
    drawn = []

    def sample(labels):
        drawn.append(perfect_sample(labels))
        return drawn[-1]

    scores = scored(reference, sample, 60)
    state = new_state(SCORES["classifier_fid"], reference, seed=0)
    state.update(Batch(torch.zeros(60), features=reference.classifier.features(torch.cat(drawn))))
    assert scores["classifier_fid"] == pytest.approx(state.compute(), rel=1e-6)


def test_usefulness_has_images_of_its_own(reference, perfect_sample, tiny_recipe, monkeypatch):
    monkeypatch.setattr(usefulness_module, "RECIPE", tiny_recipe)
    asked = []

    def sample(labels):
        asked.append(len(labels))
        return perfect_sample(labels)

    scores = {SCORES["label_agreement"]: 100, SCORES["usefulness"]: 300}
    found = scoring.score(reference, sample, scores)["usefulness"]
    assert asked == [100, 300]
    assert (found["accuracy"], found["images"]) == (1.0, 300)
    assert list(found) == ["images", *(part.name for part in SCORES["usefulness"].parts)]


def test_inception_is_a_warning_where_it_is_not_at_hand(reference, perfect_sample, monkeypatch):
    monkeypatch.setattr(inception_module, "why_no_inception", lambda: "Inception FID is skipped: no weights")
    with pytest.warns(UserWarning, match="Inception FID is skipped: no weights"):
        scores = scoring.score(reference, perfect_sample, {SCORES["inception_fid"]: 10})
    assert scores == {"inception_fid": None}


def test_scores_of_equally_many_images_judge_the_same_ones(reference, perfect_sample, monkeypatch):
    class Distance:
        def __init__(self, feature):
            self.count = 0

        def add(self, images, real):
            assert images.dtype == torch.uint8
            self.count += 0 if real else len(images)

        def compute(self):
            return float(self.count)

    monkeypatch.setattr(inception_module, "why_no_inception", lambda: None)
    monkeypatch.setattr(inception_module, "FrechetDistance", Distance)
    asked = []

    def sample(labels):
        asked.append(len(labels))
        return perfect_sample(labels)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scores = dict.fromkeys((SCORES["label_agreement"], SCORES["inception_fid"]), 40)
        assert scoring.score(reference, sample, scores)["inception_fid"] == 40.0
    assert asked == [40]


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
def test_what_is_no_image_is_refused(reference, images, message):
    with pytest.raises(InputError, match=message):
        scored(reference, lambda labels: images(len(labels)), 20)


def test_one_image_is_refused(reference, perfect_sample):
    with pytest.raises(InputError, match=r"evaluation.images: 1; ask for at least 2"):
        scored(reference, perfect_sample, 1)


def test_domains_that_do_not_fit_are_refused(toy):
    images, labels, test_images, test_labels = toy
    with pytest.raises(InputError, match=r"toy: test images \(1, 12, 12\), training images \(1, 8, 8\)"):
        RealDomain("toy", images, labels, toy_images(test_labels, size=12), test_labels, NUM_CLASSES)
    with pytest.raises(DataError, match="toy: test labels: labels from 0 to 3; number the 3 classes"):
        RealDomain("toy", images, np.minimum(labels, 2), test_images, test_labels, 3)


def test_a_domain_of_two_colourful_classes(tiny_recipe, perfect_sample):
    labels = toy_labels(60) % 2
    pair = (toy_images(labels, channels=3), labels)
    reference = judged(RealDomain("colour", *pair, *pair, 2), tiny_recipe)
    colour = scored(reference, lambda y: perfect_sample(y).expand(-1, 3, -1, -1), 50)
    assert colour["label_agreement"] == 1.0
    assert reference.classifier.num_classes == 2
