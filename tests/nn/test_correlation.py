from __future__ import annotations

import numpy as np
import pytest
import torch

from raygan.nn.correlation import distance_correlation


def by_definition(x: np.ndarray, y: np.ndarray) -> float:
    """Szekely's sample distance correlation, pair by pair."""

    def centred(z: np.ndarray) -> np.ndarray:
        n = len(z)
        a = np.array([[np.sqrt(((z[i] - z[j]) ** 2).sum()) for j in range(n)] for i in range(n)])
        return np.array([[a[i, j] - a[i].mean() - a[:, j].mean() + a.mean() for j in range(n)] for i in range(n)])

    a, b = centred(x), centred(y)
    return float(np.sqrt((a * b).mean() / np.sqrt((a * a).mean() * (b * b).mean())))


def test_it_is_that_of_the_definition() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(7, 3)), rng.normal(size=(7, 5))
    found = distance_correlation(torch.from_numpy(x), torch.from_numpy(y))
    assert found.item() == pytest.approx(by_definition(x, y), rel=1e-6)


def test_it_is_one_of_the_same_whatever_its_scale() -> None:
    x = torch.randn(16, 2, 3, generator=torch.Generator().manual_seed(0))
    assert distance_correlation(x, 3 * x + 1).item() == pytest.approx(1, abs=1e-5)


def test_gradients_go_through_it_also_where_images_repeat() -> None:
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(0))
    z = torch.cat([x[:3], x[:3]]).requires_grad_()
    distance_correlation(torch.cat([x[:3], x[:3]]), z).backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()
