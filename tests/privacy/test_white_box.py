"""Who knows the head needs no decoder: the images themselves are looked for."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from raygan.nn.network import build_networks
from raygan.nn.spec import NetworkSpec
from raygan.privacy.inversion import likeness, lines_of_chance
from raygan.privacy.sight import head_of, noise_of_clients, seen_apart
from raygan.privacy.white_box import optimised, total_variation
from tests.privacy.smooth import NUM_CLASSES, smooth

BATCH, STEPS = 16, 60
KNOWN, TARGETS = smooth(256, 1), smooth(32, 2)
HEAD = build_networks(NetworkSpec(12, 1, NUM_CLASSES, 0.125), None, 3).discriminator[:2]
BLIND = build_networks(NetworkSpec(12, 1, NUM_CLASSES, 0.25, networks="projection"), None, 3).discriminator[:1]
"""To the level and the contrast of a minibatch: no label plane, then a BatchNorm."""


def found(blocks: list[nn.Module], strength: float = 0.0, told: float | None = None) -> dict[str, float]:
    """What comes of it where clients add noise of this strength, and the attacker was told another."""
    sight = head_of(blocks, disturbance=noise_of_clients(strength, 0))
    observed = seen_apart(sight, TARGETS, BATCH)
    made = optimised(blocks, observed, TARGETS.labels, KNOWN.images, STEPS, strength if told is None else told)
    return likeness(made, TARGETS)


def test_of_a_head_that_hides_nothing_all_is_found() -> None:
    figures = found([nn.Identity()])
    assert figures["ssim"] > 0.95
    assert figures["identified"] == 1


@pytest.mark.parametrize(("depth", "least"), [(0, 0.97), (1, 0.6)])
def test_convolutions_norms_and_leaks_are_undone(depth: int, least: float) -> None:
    """Two of the paper's blocks of D, of few channels; nobody tells it BatchNorm's statistics."""
    figures = found(HEAD[: depth + 1])
    assert figures["ssim"] > least
    assert figures["identified"] > 0.9


def test_what_a_head_is_blind_to_is_taken_from_other_images() -> None:
    figures = found(BLIND)
    assert figures["ssim"] > 0.9
    assert figures["identified"] == 1


def test_of_noise_nothing_is_found() -> None:
    chance, draw = lines_of_chance(KNOWN, TARGETS), torch.Generator().manual_seed(0)
    like = [torch.randn(x.shape, generator=draw) for x in seen_apart(head_of(HEAD[:1]), TARGETS, BATCH)]
    figures = likeness(optimised(HEAD[:1], like, TARGETS.labels, KNOWN.images, STEPS), TARGETS)
    assert figures["ssim"] <= chance["ssim_constant"] + 0.05
    assert figures["identified"] <= 4 * chance["identified"]


def test_who_is_told_of_the_noise_smooths_it_away() -> None:
    assert found(HEAD[:1], 1.0)["ssim"] > found(HEAD[:1], 1.0, told=0.0)["ssim"]


def test_total_variation_by_hand() -> None:
    """Down 1 and 3, across 2 and 4: means of 2 and of 3."""
    assert total_variation(torch.tensor([[[[0.0, 2.0], [1.0, 5.0]]]])) == pytest.approx(5.0)
