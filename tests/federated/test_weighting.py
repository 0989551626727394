from __future__ import annotations

import numpy as np
import pytest

from raygan.federated.weighting import kld_weights, member_kld

LN = np.log


def maps(*distributions: list[float]) -> np.ndarray:
    """Members with one channel whose softmax is the given distribution."""
    return np.log(np.array(distributions))[:, None, :]


def test_kld_of_two_members_by_hand() -> None:
    # Q_0 = P_1 = (1/2, 1/2), P_0 = (3/4, 1/4): sum Q log(Q/P) = 1/2 ln(2/3) + 1/2 ln 2 = 1/2 ln(4/3)
    # Q_1 = P_0:                                 3/4 ln(3/2) + 1/4 ln(1/2)
    expected = [0.5 * LN(4 / 3), 0.75 * LN(1.5) + 0.25 * LN(0.5)]
    assert member_kld(maps([0.75, 0.25], [0.5, 0.5])) == pytest.approx(expected, abs=1e-12)


def test_kld_against_the_mean_of_the_others() -> None:
    # Member 0: P = (1/2, 1/2); the others (1/4, 3/4) and (3/4, 1/4) average to (1/2, 1/2): 0.
    assert member_kld(maps([0.5, 0.5], [0.25, 0.75], [0.75, 0.25]))[0] == pytest.approx(0, abs=1e-12)


def test_kld_is_the_mean_over_channels() -> None:
    one = maps([0.75, 0.25], [0.5, 0.5])
    same = maps([0.5, 0.5], [0.5, 0.5])
    both = np.concatenate([one, same], axis=1)
    assert member_kld(both) == pytest.approx(member_kld(one) / 2)


def test_kld_of_a_cluster_of_one_is_zero() -> None:
    assert member_kld(maps([0.1, 0.9])).tolist() == [0.0]


def test_kld_stays_finite_where_a_probability_underflows() -> None:
    # P_0 = (1, e^-800), which is 0 in float64; Q_0 = (1/2, 1/2): 1/2 ln(1/2) + 1/2 (ln(1/2) + 800)
    kld = member_kld(np.array([[[0.0, -800.0]], [[0.0, 0.0]]]))
    assert kld[0] == pytest.approx(LN(0.5) + 400)


def test_a_map_that_is_not_finite_is_nan_and_harms_nobody_else() -> None:
    broken = maps([0.75, 0.25], [0.5, 0.5], [0.5, 0.5])
    broken[2, 0, 0] = np.nan
    kld = member_kld(broken)
    assert np.isnan(kld[2])
    assert kld[:2] == pytest.approx(member_kld(maps([0.75, 0.25], [0.5, 0.5])))


def test_weights_by_hand() -> None:
    # n = (100, 200), exp(-KLD) = (1/2, 1/4): 50 and 50
    weights = kld_weights(np.array([100.0, 200.0]), np.array([LN(2), LN(4)]), beta=1.0)
    assert weights == pytest.approx([0.5, 0.5])


def test_beta_zero_weighs_by_samples() -> None:
    assert kld_weights(np.array([100.0, 300.0]), np.array([5.0, 0.0]), beta=0.0) == pytest.approx([0.25, 0.75])


def test_a_large_beta_does_not_underflow() -> None:
    weights = kld_weights(np.array([1.0, 1.0]), np.array([1.0, 2.0]), beta=1e6)
    assert weights.tolist() == [1.0, 0.0]


def test_a_kld_that_is_not_finite_has_no_weight() -> None:
    assert kld_weights(np.array([1.0, 1.0]), np.array([np.nan, 0.3]), beta=1.0).tolist() == [0.0, 1.0]


def test_no_finite_kld_falls_back_to_samples() -> None:
    assert kld_weights(np.array([1.0, 3.0]), np.array([np.nan, np.nan]), beta=1.0).tolist() == [0.25, 0.75]
