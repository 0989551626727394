"""Augmentations by hand, on images whose entries say where they were."""

from __future__ import annotations

import pytest
import torch

from raygan.nn.augmentation import COLOUR, CUTOUT, IDENTITY, TRANSLATION, draw_transform, merged_transform

NAMES = ("translation", "cutout", "colour")


def test_a_translation_moves_rows_and_columns_and_lets_zeros_in() -> None:
    """Side 8: by -1, 0 or 1. The first image goes one row down and one column to the left, the second stays."""
    image = torch.arange(1.0, 65).view(1, 1, 8, 8)
    moved = TRANSLATION.apply(image.repeat(2, 1, 1, 1), torch.tensor([[0.99, 0.0], [0.5, 0.5]]))
    assert torch.equal(moved[0, 0, 1:, :-1], image[0, 0, :-1, 1:])
    assert moved[0, 0, 0].tolist() == [0] * 8
    assert moved[0, 0, :, -1].tolist() == [0] * 8
    assert torch.equal(moved[1], image[0])


def test_a_cutout_is_a_square_that_may_reach_over_the_edge() -> None:
    """Side 8, so a square of 4: around the middle, rows and columns 2 to 5; around the corner, 0 and 1."""
    cut = CUTOUT.apply(torch.ones(2, 3, 8, 8), torch.tensor([[0.5, 0.5], [0.0, 0.0]]))
    assert cut[0, :, 2:6, 2:6].abs().sum() == 0
    assert cut[1, :, :2, :2].abs().sum() == 0
    assert cut.sum((1, 2, 3)).tolist() == [3 * (64 - 16), 3 * (64 - 4)]


def test_colours_by_hand() -> None:
    """One pixel of channels 0 and 1, one of 0.5 and 0.5. Brightness + 0.25: 0.25, 1.25 | 0.75, 0.75. Saturation x 0.5
    about 0.75: 0.5, 1 | 0.75, 0.75. Contrast x 1.5 about 0.75: 0.375, 1.125 | 0.75, 0.75."""
    image = torch.tensor([[[[0.0, 0.5]], [[1.0, 0.5]]]])
    coloured = COLOUR.apply(image, torch.tensor([[0.75, 0.25, 1.0]]))
    torch.testing.assert_close(coloured, torch.tensor([[[[0.375, 0.75]], [[1.125, 0.75]]]]))


def test_equal_seeds_draw_equal_transforms_and_gradients_pass() -> None:
    images = torch.rand(4, 3, 12, 12).requires_grad_()
    first, again, other = (draw_transform(NAMES, 8, seed) for seed in (1, 1, 2))
    seen = first(images)
    assert torch.equal(seen, again(images))
    assert not torch.equal(seen, other(images))
    seen.sum().backward()
    assert images.grad is not None
    assert 0 < images.grad.count_nonzero() < images.numel(), "but not where the image was cut out"


@pytest.mark.parametrize("name", NAMES)
def test_merged_batches_keep_their_own_transforms(name: str) -> None:
    images = torch.rand(5, 3, 12, 12)
    first, second = (draw_transform((name,), 8, seed) for seed in (1, 2))
    seen = merged_transform([first, second], [2, 3])(images)
    assert torch.equal(seen, torch.cat([first(images[:2]), second(images[2:])]))


def test_nothing_is_done_where_nothing_is_asked_for() -> None:
    images = torch.rand(2, 1, 8, 8)
    assert draw_transform((), 2, 0) is IDENTITY
    assert IDENTITY(images) is images
    assert merged_transform([IDENTITY, IDENTITY], [1, 1])(images) is images
