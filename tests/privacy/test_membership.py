from __future__ import annotations

import pytest
import torch

from raygan.privacy.membership import membership_figures, nearness
from raygan.privacy.sight import Images
from tests.privacy.smooth import smooth

TRAINED, OTHERS, HELD_OUT = smooth(150, 1), smooth(150, 2), smooth(150, 3)


def auc_of(samples: Images) -> dict[str, float]:
    return membership_figures(nearness(samples, TRAINED), nearness(samples, HELD_OUT), 0)


def test_a_generator_that_copies_its_training_set_is_found_out() -> None:
    figures = auc_of(Images(TRAINED.images + 0.01, TRAINED.labels))
    assert figures["auc"] > 0.9
    assert figures["found_at_1_percent"] > 0.9


def test_one_that_was_trained_on_other_images_tells_nothing() -> None:
    figures = auc_of(OTHERS)
    assert 0.4 < figures["auc"] < 0.6
    assert figures["auc_low"] < figures["auc"] < figures["auc_high"]


def test_the_nearest_sample_is_one_of_the_same_label() -> None:
    pixel = torch.zeros(3, 1, 1, 1)
    samples = Images(torch.tensor([1.0, 5.0]).reshape(2, 1, 1, 1), torch.tensor([0, 1]))
    found = nearness(samples, Images(pixel, torch.tensor([0, 1, 2])))
    assert found.tolist() == [-1, -5, -5]


def test_the_area_by_hand() -> None:
    """Of four pairs, three are in order: 0.75. No member is above all others but one: half of them at no false one."""
    figures = membership_figures(torch.tensor([0.9, 0.4]), torch.tensor([0.5, 0.1]), 0)
    assert figures["auc"] == 0.75
    assert figures["found_at_1_percent"] == pytest.approx(0.5)
