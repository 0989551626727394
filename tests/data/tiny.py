"""A domain small enough to check by hand."""

from __future__ import annotations

from typing import Any

import numpy as np


def tiny_fields(num_train: int = 24, num_test: int = 8, size: int = 8, channels: int = 1) -> dict[str, Any]:
    """Arrays of a domain with 4 classes; training image i is filled with the value i."""
    form = (size, size) if channels == 1 else (size, size, channels)

    def images(count: int) -> np.ndarray:
        return np.broadcast_to(np.arange(count, dtype=np.uint8).reshape(-1, *[1] * len(form)), (count, *form))

    return {
        "train_images": images(num_train),
        "train_labels": np.arange(num_train) % 4,
        "test_images": images(num_test),
        "test_labels": np.arange(num_test) % 4,
        "classes": np.array(["ant", "bee", "cat", "dog"]),
    }
