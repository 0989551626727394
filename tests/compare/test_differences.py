"""Differences by hand: Student's t with one degree of freedom is 12.706 at 97.5%, and four signs are sixteen outcomes."""

from __future__ import annotations

import pytest

from raygan.compare.differences import difference, interval, sign_test


def test_the_interval_is_students() -> None:
    """0.1 and 0.3: mean 0.2, standard deviation 0.1414, over the root of two 0.1."""
    low, high = interval([0.1, 0.3])
    assert low == pytest.approx(0.2 - 1.2706, abs=1e-4)
    assert high == pytest.approx(0.2 + 1.2706, abs=1e-4)
    assert interval([0.1]) == (None, None)


def test_the_sign_test_counts_splits_at_least_as_uneven() -> None:
    """Three of four: 1 + 4 + 4 + 1 of 16. Five of five: 2 of 32."""
    assert sign_test(3, 4) == pytest.approx(10 / 16)
    assert sign_test(5, 5) == pytest.approx(2 / 32)
    assert sign_test(0, 0) is None


def test_a_difference_is_of_equal_seeds() -> None:
    """Seeds differ much, the variants little: 0.05 and 0.05."""
    found = difference([[0.95, 0.75], [0.15, 0.25]], [[0.9, 0.7], [0.1, 0.2]], higher=True)
    assert found.mean == pytest.approx(0.05)
    assert found.low == pytest.approx(0.05)
    assert (found.better, found.worse) == (4, 0)


def test_where_less_is_better_fewer_is_a_win() -> None:
    found = difference([[3.0, 5.0, 4.0]], [[4.0, 4.0, 4.0]], higher=False)
    assert (found.mean, found.better, found.worse) == (0.0, 1, 1)
    assert (found.low, found.p) == (None, 1.0)
