import warnings

import numpy as np
import pytest
import torch

from raygan.errors import DataError, InputError
from raygan.evaluation import Batch, Evaluator, RealDomain
from raygan.evaluation.scores import inception_fid as inception_module
from raygan.evaluation.scores import usefulness as usefulness_module
from raygan.evaluation.scores.state import new_state
from raygan.scores import SCORES, every_round

from .toy import NUM_CLASSES, toy_images, toy_labels


@pytest.fixture
def evaluator(toy, tiny_recipe):
    return Evaluator.create([RealDomain("toy", *toy, NUM_CLASSES)], recipe=tiny_recipe)


def scored(evaluator, sample, num_images=5000, seed=0, domain="toy"):
    """The scores of every round."""
    return evaluator.score(domain, sample, dict.fromkeys(every_round(), num_images), seed)


def test_a_perfect_generator_scores_as_real_images_do(evaluator, perfect_sample):
    scores = scored(evaluator, perfect_sample, 400)
    real = evaluator.score_real("toy", SCORES.values())
    assert list(scores) == list(real) == ["label_agreement", "generation_score", "classifier_fid"]
    assert scores["label_agreement"] == 1.0
    assert scores["generation_score"] == pytest.approx(real["generation_score"], rel=0.2)
    assert 2 < scores["generation_score"] <= NUM_CLASSES


def test_noise_scores_badly(evaluator, perfect_sample):
    good = scored(evaluator, perfect_sample, 100)
    noise = scored(evaluator, lambda labels: torch.rand(len(labels), 1, 8, 8) * 2 - 1, 100)
    assert noise["label_agreement"] < 0.6
    assert noise["generation_score"] < good["generation_score"]
    assert noise["classifier_fid"] > good["classifier_fid"]


def test_a_generator_that_ignores_labels_agrees_by_chance(evaluator, perfect_sample):
    scores = scored(evaluator, lambda labels: perfect_sample(labels * 0), 400)
    assert scores["label_agreement"] == 0.25
    assert scores["generation_score"] == pytest.approx(1, abs=0.1)


def test_the_seed_decides_and_the_global_generator_is_left_alone(evaluator, perfect_sample):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = scored(evaluator, perfect_sample, 700, seed=1)
    assert torch.equal(torch.rand(3), expected)
    again = scored(evaluator, perfect_sample, 700, seed=1)
    other = scored(evaluator, perfect_sample, 700, seed=2)
    assert first == again
    assert first["classifier_fid"] != other["classifier_fid"]


def test_labels_are_even_and_batches_bounded(evaluator, perfect_sample):
    seen = []

    def sample(labels):
        assert torch.is_inference_mode_enabled()
        seen.append(labels)
        return perfect_sample(labels)

    scored(evaluator, sample, 1202)
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
    scored(evaluator, lambda y: seen.append(y) or perfect_sample(y), 20, domain="few")
    assert torch.cat(seen).unique().tolist() == [0, 3]


def test_fid_is_that_of_the_images_that_were_drawn(evaluator, perfect_sample):
    drawn = []

    def sample(labels):
        drawn.append(perfect_sample(labels))
        return drawn[-1]

    scores = scored(evaluator, sample, 60)
    reference = evaluator.reference("toy")
    state = new_state(SCORES["classifier_fid"], reference, seed=0)
    state.update(Batch(torch.zeros(60), features=reference.classifier.features(torch.cat(drawn))))
    assert scores["classifier_fid"] == pytest.approx(state.compute(), rel=1e-6)


def test_usefulness_has_images_of_its_own(evaluator, perfect_sample, tiny_recipe, monkeypatch):
    monkeypatch.setattr(usefulness_module, "RECIPE", tiny_recipe)
    asked = []

    def sample(labels):
        asked.append(len(labels))
        return perfect_sample(labels)

    scores = {SCORES["label_agreement"]: 100, SCORES["usefulness"]: 300}
    found = evaluator.score("toy", sample, scores)["usefulness"]
    assert asked == [100, 300]
    assert (found["accuracy"], found["images"]) == (1.0, 300)
    assert list(found) == ["images", *(part.name for part in SCORES["usefulness"].parts)]


def test_inception_is_a_warning_where_it_is_not_at_hand(evaluator, perfect_sample, monkeypatch):
    monkeypatch.setattr(inception_module, "why_no_inception", lambda: "Inception FID is skipped: no weights")
    with pytest.warns(UserWarning, match="Inception FID is skipped: no weights"):
        scores = evaluator.score("toy", perfect_sample, {SCORES["inception_fid"]: 10})
    assert scores == {"inception_fid": None}


def test_scores_of_equally_many_images_judge_the_same_ones(evaluator, perfect_sample, monkeypatch):
    class Distance:
        def __init__(self, feature):
            self.count = 0

        def update(self, batch, real):
            assert batch.dtype == torch.uint8
            self.count += 0 if real else len(batch)

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
        assert evaluator.score("toy", sample, scores)["inception_fid"] == 40.0
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
def test_what_is_no_image_is_refused(evaluator, images, message):
    with pytest.raises(InputError, match=message):
        scored(evaluator, lambda labels: images(len(labels)), 20)


def test_unknown_domains_and_counts_are_refused(evaluator, perfect_sample):
    with pytest.raises(InputError, match="domain: 'faces' is unknown; use one of toy"):
        scored(evaluator, perfect_sample, domain="faces")
    with pytest.raises(InputError, match=r"evaluation.images: 1; ask for at least 2"):
        scored(evaluator, perfect_sample, 1)


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
    colour = scored(evaluator, lambda y: perfect_sample(y).expand(-1, 3, -1, -1), 50, domain="colour")
    assert colour["label_agreement"] == 1.0
    assert evaluator.reference("colour").classifier.num_classes == 2
    assert scored(evaluator, perfect_sample, 50, domain="grey")["label_agreement"] == 1.0
