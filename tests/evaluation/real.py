"""Full real data sets, for slow tests."""

import os
from pathlib import Path

import numpy as np
import pytest


def real_domain(name):
    """Training images and labels, test images and labels; skips where they are not at hand."""
    folder = os.environ.get("RAYGAN_TEST_DATA")
    if not folder:
        pytest.skip("RAYGAN_TEST_DATA is not set: it names a folder with mnist.npz and fashion_mnist.npz")
    with np.load(Path(folder) / f"{name}.npz") as data:
        return data["train_images"], data["train_labels"], data["test_images"], data["test_labels"]
