"""Arrays as whole numbers modulo 2^64, whose sums are exact.

    x -> round(w x 2^36) mod 2^64

Each member's rounding is at most half a step of 2^-36 (7.3e-12), so that a sum over n members is within n 2^-37 of the
sum of the products, far below what float32 resolves. Sums must stay inside (-2^27, 2^27): a member refuses an entry of
2^26 or more, and weights sum to at most 1.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from raygan.names import BlockForm

FRACTION_BITS = 36
STEP = 2.0**-FRACTION_BITS
LARGEST = 2.0**26
"""No entry may be as large."""


class RangeError(ValueError):
    """An entry that fixed point cannot hold."""


def form_of(state: Mapping[str, np.ndarray]) -> BlockForm:
    """Names, types and shapes of a block's arrays, in order."""
    return tuple((name, array.dtype.name, tuple(array.shape)) for name, array in state.items())


def encode(state: Mapping[str, np.ndarray], weight: float) -> np.ndarray:
    """(N,) uint64: all arrays of a block, one after the other, times the weight, in fixed point.

    Raises:
        RangeError: an entry is not finite, or 2^26 or larger.
    """
    flat = np.concatenate([np.zeros(0), *(np.asarray(array, np.float64).reshape(-1) for array in state.values())])
    if not (np.abs(flat) < LARGEST).all():
        raise RangeError("a parameter is not finite, or 2^26 or larger: secure aggregation cannot sum it")
    return np.rint(weight * flat / STEP).astype(np.int64).view(np.uint64)


def decode(total: np.ndarray, form: BlockForm) -> dict[str, np.ndarray]:
    """The sum (N,) uint64 as float64 arrays of the block's shapes, by name."""
    flat = total.view(np.int64) * STEP
    arrays, place = {}, 0
    for name, _, shape in form:
        size = int(np.prod(shape, dtype=np.int64))
        arrays[name] = flat[place : place + size].reshape(shape)
        place += size
    return arrays


def cast(array: np.ndarray, dtype: str) -> np.ndarray:
    """A float64 array in a block's own type; whole numbers are rounded."""
    kind = np.dtype(dtype)
    return np.asarray(np.rint(array) if kind.kind in "iu" else array, kind)
