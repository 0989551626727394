"""States of scores: over parts and merged, they are the state over all."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from raygan.evaluation.classifier import train_classifier
from raygan.evaluation.drawing import RealDomain
from raygan.evaluation.scores import inception_fid as inception_module
from raygan.evaluation.scores import usefulness as usefulness_module
from raygan.evaluation.scores.classifier_fid import GivenFeatures
from raygan.evaluation.scores.state import Batch, Reference, gathered, new_state
from raygan.evaluation.scoring import score_real
from raygan.scores import SCORES, Score

from .toy import NUM_CLASSES, accuracy, toy_images, toy_labels

SPLITS = [(1, 59), (20, 20, 20), (7, 3, 50), (60,)]


@pytest.fixture
def reference(toy, tiny_recipe) -> Reference:
    classifier = train_classifier(toy[0], toy[1], NUM_CLASSES, tiny_recipe)
    return Reference(RealDomain("toy", *toy, NUM_CLASSES), classifier)


@pytest.fixture
def whole(reference: Reference) -> Batch:
    """60 images, most of which show what they were asked to."""
    labels = torch.as_tensor(toy_labels(60, seed=5))
    shown = np.where(np.arange(60) % 5 == 0, 0, labels.numpy())
    images = torch.as_tensor(toy_images(shown, seed=6))
    return gathered([(images, labels)], reference, SCORES.values())


def parts(whole: Batch, sizes: tuple[int, ...]) -> list[Batch]:
    columns = [torch.as_tensor(c) for c in (whole.labels, whole.probabilities, whole.features, whole.images)]
    rows = zip(*(column.split(list(sizes)) for column in columns), strict=True)
    return [Batch(labels, p.numpy(), features, images) for labels, p, features, images in rows]


def over(score: Score, reference: Reference, batches: list[Batch]):
    """One state for all batches, and one for each, merged."""
    together = new_state(score, reference, seed=3)
    states = [new_state(score, reference, seed=3) for _ in batches]
    for state, batch in zip(states, batches, strict=True):
        state.update(batch)
        together.update(batch)
    for state in states[1:]:
        states[0].merge(state)
    return together.compute(), states[0].compute()


@pytest.mark.parametrize("sizes", SPLITS, ids=str)
@pytest.mark.parametrize("name", SCORES)
def test_merged_parts_are_the_whole(
    name: str, sizes: tuple[int, ...], reference: Reference, whole: Batch, tiny_recipe, monkeypatch
) -> None:
    monkeypatch.setattr(usefulness_module, "RECIPE", tiny_recipe)
    monkeypatch.setattr(inception_module, "why_no_inception", lambda: None)
    monkeypatch.setattr(inception_module, "POOL_FEATURES", Flat(3 * 8 * 8))  # stands for Inception
    (expected, _) = over(SCORES[name], reference, [whole])
    for found in over(SCORES[name], reference, parts(whole, sizes)):
        if name in ("classifier_fid", "inception_fid"):  # sums of parts round otherwise than the sum of all
            assert found == pytest.approx(expected, rel=1e-9)
            assert found > 0
        else:
            assert found == expected


class Flat(GivenFeatures):
    """Pixels as features."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return features.flatten(1).double()


def test_a_pass_holds_what_its_scores_need(reference: Reference) -> None:
    batches = [(torch.as_tensor(toy_images([0, 1])), torch.tensor([0, 1]))]
    only_images = gathered(batches, reference, [SCORES["usefulness"]])
    assert (only_images.features, only_images.probabilities) == (None, None)
    assert only_images.images.dtype == torch.uint8
    judged = gathered(batches, reference, [SCORES["label_agreement"]])
    assert judged.images is None
    assert judged.probabilities.sum(axis=1) == pytest.approx([1, 1])
    assert torch.equal(judged.features, reference.classifier.features(batches[0][0]))


def test_the_mark_of_a_distance_is_training_images_and_of_others_test_images(reference: Reference) -> None:
    values = score_real(reference, SCORES.values())
    real, classifier = reference.real, reference.classifier
    assert values["label_agreement"] == accuracy(classifier, real.test_images, real.test_labels)
    order = torch.randperm(200, generator=torch.Generator().manual_seed(0))[:100]
    state = new_state(SCORES["classifier_fid"], reference, seed=0)
    state.update(Batch(real.train_labels[order], features=classifier.features(real.train_images[order])))
    assert values["classifier_fid"] == state.compute() > 0
