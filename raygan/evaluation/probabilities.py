"""Class probabilities as the scores take them, checked."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from raygan.errors import InputError

ROW_SUM_TOLERANCE = 1e-4
"""Softmax in float32 stays far below this."""


def as_probabilities(probabilities: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """The probabilities as float64 (N, K), checked.

    Raises:
        InputError: another shape, or rows that are not probabilities.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or p.size == 0:
        raise InputError("probabilities", f"shape {p.shape}", "pass (images, classes), at least one of each")
    sums = p.sum(axis=1)
    if not (np.all(p >= 0) and np.all(np.abs(sums - 1) <= ROW_SUM_TOLERANCE)):  # NaN fails too
        found = f"values from {p.min():.4g}, row sums from {sums.min():.4g} to {sums.max():.4g}"
        raise InputError("probabilities", found, "pass rows that are >= 0 and sum to 1, such as a softmax")
    return p
