from __future__ import annotations

import numpy as np
import pytest

from raygan.federated.clustering import cluster_clients, counts_to_try


def blobs(*centres: float, each: int = 3) -> np.ndarray:
    rng = np.random.default_rng(0)
    return np.concatenate([centre + 0.1 * rng.standard_normal((each, 4)) for centre in centres])


def test_a_given_count_finds_the_blobs_in_the_order_of_the_clients() -> None:
    assert cluster_clients(blobs(5, 0), 2, seed=0).tolist() == [0, 0, 0, 1, 1, 1]


@pytest.mark.parametrize("centres", [(0, 5), (0, 5, 10), (0, 5, 10, 15)])
def test_auto_finds_the_number_of_blobs(centres: tuple[float, ...]) -> None:
    found = cluster_clients(blobs(*centres), "auto", seed=0)
    assert found.tolist() == np.repeat(np.arange(len(centres)), 3).tolist()


@pytest.mark.parametrize(
    ("num_clients", "counts"),
    [
        (1, []),
        (2, []),
        (4, [2, 3]),
        (20, list(range(2, 17))),
        (1000, [*range(2, 17), 20, 25, 31, 38, 47, 58, 72, 90, 112]),
    ],
)
def test_auto_tries_few_counts_of_many_clients(num_clients: int, counts: list[int]) -> None:
    assert counts_to_try(num_clients) == counts


def test_auto_finds_the_blobs_of_a_thousand_clients() -> None:
    found = cluster_clients(blobs(0, 5, 10, 15, each=250), "auto", seed=0)
    assert found.tolist() == np.repeat(np.arange(4), 250).tolist()


def test_auto_keeps_one_cluster_of_equal_clients() -> None:
    assert cluster_clients(np.zeros((5, 4)), "auto", seed=0).tolist() == [0] * 5


@pytest.mark.parametrize(("apart", "clusters"), [(0.92, [0, 0, 0, 0]), (0.88, [0, 0, 1, 1])])
def test_auto_wants_a_silhouette_of_a_tenth(apart: float, clusters: list[int]) -> None:
    """Two pairs, `apart` within and 1 between, so the silhouette is 1 - apart: 0.08 is too little, 0.12 is enough."""
    half, height = apart / 2, (1 - apart**2 / 2) ** 0.5
    pairs = np.array([[half, 0, 0], [-half, 0, 0], [0, half, height], [0, -half, height]])
    assert cluster_clients(pairs, "auto", seed=0).tolist() == clusters


@pytest.mark.parametrize("num_clients", [1, 2])
def test_auto_keeps_one_cluster_of_too_few_clients_to_judge(num_clients: int) -> None:
    assert cluster_clients(blobs(0, each=num_clients), "auto", seed=0).tolist() == [0] * num_clients


def test_an_empty_cluster_disappears() -> None:
    features = np.repeat([[0.0], [1.0]], 2, axis=0)  # two distinct points for three clusters
    assert cluster_clients(features, 3, seed=0).tolist() == [0, 0, 1, 1]


def test_every_client_its_own_cluster() -> None:
    assert cluster_clients(np.arange(3.0)[:, None], 3, seed=0).tolist() == [0, 1, 2]


def test_more_features_than_clients_change_nothing() -> None:
    """Four coordinates, once as they are and once spread over 400 features by an isometry."""
    features = blobs(0, 5, 10)[:8]
    rng = np.random.default_rng(1)
    isometry, _ = np.linalg.qr(rng.standard_normal((400, 4)))
    wide = (features @ isometry.T).astype(np.float32)
    assert cluster_clients(wide, "auto", 0).tolist() == cluster_clients(features, "auto", 0).tolist()
