"""Divergences by hand: KL(N(0, 1) || N(1, 1)) = 1/2, KL(N(0, 1) || N(0, 4)) = (1/4 - 1 + ln 4) / 2."""

from __future__ import annotations

import math

import numpy as np
import pytest

from raygan.federated.affinity import gaussian_kl, mixing_weights


def test_the_divergence_of_gaussians() -> None:
    unit = np.array([[-1.0], [1.0]])  # mean 0, variance 1
    found = gaussian_kl([unit, unit + 1, 2 * unit])
    assert found[0, 0] == 0
    assert found[0, 1] == pytest.approx(0.5)
    assert found[0, 2] == pytest.approx((1 / 4 - 1 + math.log(4)) / 2)
    assert found[2, 0] == pytest.approx((4 - 1 - math.log(4)) / 2)


def test_who_is_alike_counts_more_and_nobody_counts_for_himself() -> None:
    """Median 2: exp(0) to exp(-1) to exp(-3/2)."""
    divergence = np.array([[0.0, 1.0, 3.0, 4.0], [1, 0, 2, 2], [2, 2, 0, 2], [4, 2, 1, 0]])
    weights = mixing_weights(divergence, 1.0)
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    np.testing.assert_array_equal(np.diag(weights), 0)
    assert weights[0, 2] / weights[0, 1] == pytest.approx(math.exp(-1))
    assert weights[0, 3] / weights[0, 1] == pytest.approx(math.exp(-1.5))
    assert mixing_weights(divergence, 0.01)[0, 1] > 0.999


def test_where_all_are_equal_or_alone() -> None:
    np.testing.assert_allclose(mixing_weights(np.zeros((3, 3)), 1.0), (1 - np.eye(3)) / 2)
    assert mixing_weights(np.zeros((1, 1)), 1.0).tolist() == [[0.0]]


def test_a_dead_feature_does_not_divide_by_nothing() -> None:
    dead = np.zeros((4, 2))
    found = gaussian_kl([dead, dead, dead])
    assert np.isfinite(found).all()
