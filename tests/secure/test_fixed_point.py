"""Fixed point by hand: 36 bits behind the point, modulo 2^64."""

from __future__ import annotations

import numpy as np
import pytest

from raygan.secure.fixed_point import RangeError, cast, decode, encode, form_of

ONE = 2**36


def block(*values: float) -> dict[str, np.ndarray]:
    return {"weight": np.array(values, np.float32)}


def test_entries_are_whole_numbers_of_steps() -> None:
    # 0.75 * 2^36, and -1/2 * 2^36 modulo 2^64
    assert encode(block(3.0, -2.0), 0.25).tolist() == [3 * ONE // 4, 2**64 - ONE // 2]


def test_half_a_step_is_rounded_to_an_even_one() -> None:
    step = 2.0**-36
    assert encode({"a": np.array([step / 2, 1.5 * step, 0.6 * step])}, 1.0).tolist() == [0, 2, 1]


def test_a_sum_that_wraps_is_the_sum() -> None:
    total = encode(block(-5.0), 0.5) + encode(block(3.0), 0.5)
    assert decode(total, form_of(block(0.0)))["weight"].tolist() == [-1.0]


def test_shapes_and_types_come_back() -> None:
    state = {
        "weight": np.arange(6, dtype=np.float32).reshape(2, 3),
        "mass": np.array(0.5),
        "seen": np.array(7, np.int64),
    }
    back = decode(encode(state, 1.0), form_of(state))
    for name, array in state.items():
        assert cast(back[name], array.dtype.name).dtype == array.dtype
        np.testing.assert_array_equal(back[name], array)
    assert cast(np.array(2.6), "int64") == 3
    assert decode(encode({}, 1.0), ()) == {}


@pytest.mark.parametrize("value", [2.0**26, -(2.0**26), np.inf, np.nan])
def test_what_it_cannot_hold_is_refused(value: float) -> None:
    with pytest.raises(RangeError, match=r"not finite, or 2\^26 or larger"):
        encode(block(1.0, value), 0.1)
    assert encode({"a": np.array([2.0**26 - 1])}, 1.0).tolist() == [(2**26 - 1) * ONE]


def test_a_sum_of_many_is_within_half_a_step_each() -> None:
    values = np.random.default_rng(0).normal(size=(50, 200))
    total = sum(encode({"a": row}, 1 / 50) for row in values)
    error = np.abs(decode(total, form_of({"a": values[0]}))["a"] - values.mean(axis=0))  # type: ignore[arg-type]
    assert 0 < error.max() <= 50 * 2.0**-37
