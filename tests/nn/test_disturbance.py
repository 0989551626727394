"""Activation noise, by numbers."""

from __future__ import annotations

import pytest
import torch

from raygan.nn.disturbance import disturbed, followed, sizes

X = torch.tensor([[3.0, 4.0, 0.0, 0.0], [0.0, 0.0, 0.6, 0.8]])
"""Of lengths 5 and 1, so of sizes 2.5 and 0.5."""


def test_a_size_is_the_root_mean_square_of_a_samples_entries() -> None:
    assert sizes(X.reshape(2, 1, 2, 2)).tolist() == pytest.approx([2.5, 0.5])


def test_the_scale_is_the_mean_size_at_first_and_then_moves_by_a_tenth() -> None:
    first = followed(None, X)
    assert first.item() == pytest.approx(1.5)
    assert followed(first, X[:1], X[:1]).item() == pytest.approx(0.9 * 1.5 + 0.1 * 2.5)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_what_has_no_size_leaves_it_as_it_is(value: float) -> None:
    assert followed(torch.tensor(1.5), torch.full((2, 4), value)).item() == 1.5


def test_longer_samples_are_cut_to_the_scale_and_shorter_ones_stay() -> None:
    found = disturbed(X, torch.tensor(1.0), 0.0, torch.Generator())
    assert found.tolist()[0] == pytest.approx([1.2, 1.6, 0.0, 0.0])
    assert found.tolist()[1] == pytest.approx([0.0, 0.0, 0.6, 0.8])


def test_noise_is_the_strength_times_the_scale() -> None:
    found = disturbed(torch.zeros(4, 5000), torch.tensor(3.0), 0.5, torch.Generator().manual_seed(0))
    assert found.std().item() == pytest.approx(1.5, rel=0.02)
    assert found.mean().item() == pytest.approx(0, abs=0.04)
    again = disturbed(torch.zeros(4, 5000), torch.tensor(3.0), 0.5, torch.Generator().manual_seed(0))
    assert torch.equal(found, again)


def test_gradients_pass_through_the_clipping_and_not_through_the_noise() -> None:
    """A clipped sample's gradient has nothing along itself, the rest by its share, 1 / 2.5; a short one's is whole."""
    x = X.clone().requires_grad_()
    disturbed(x, torch.tensor(1.0), 0.5, torch.Generator().manual_seed(0)).backward(torch.ones_like(x))
    assert x.grad is not None
    assert (x.grad[0] @ X[0]).item() == pytest.approx(0, abs=1e-6)
    assert x.grad[0, 2:].tolist() == pytest.approx([0.4, 0.4])
    assert x.grad[1].tolist() == pytest.approx([1.0] * 4)
