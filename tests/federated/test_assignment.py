"""Clustering and weighting of a round's features by the rules that the configuration names."""

from __future__ import annotations

import numpy as np
import pytest

from raygan.config import choices
from raygan.config.schema import ClusterConfig
from raygan.federated.assignment import cluster_and_weigh, joined
from raygan.wire.records import Assignment, Lost

LEVELS = {3: 0.0, 5: 0.0, 8: 1.0}
"""Client -> how far its map is tilted."""


def features() -> dict[int, np.ndarray]:
    """Two channels of four positions."""
    return {client: level * np.arange(8.0).reshape(2, 2, 2) for client, level in LEVELS.items()}


def assigned(settings: ClusterConfig, round_number: int = 0) -> Assignment:
    counts = {3: 10, 5: 30, 8: 60, 9: 1000}
    found = cluster_and_weigh(features(), counts, settings, 0, round_number, {})
    assert isinstance(found, Assignment)
    return found


def test_clusters_are_weighed_within_and_the_body_over_all() -> None:
    found = assigned(ClusterConfig(count=2, warmup_rounds=0))
    assert found.cluster == {3: 0, 5: 0, 8: 1}
    assert found.kld == {3: 0.0, 5: 0.0, 8: 0.0}, "alike, or alone"
    assert found.weight == pytest.approx({3: 0.25, 5: 0.75, 8: 1.0})
    even, tilted = np.full(4, 0.25), np.exp(np.arange(4)) / np.exp(np.arange(4)).sum()
    mixed = (even + tilted) / 2  # what clients 3 and 5 each see of the two others
    near, far = (mixed * np.log(mixed / even)).sum(), (even * np.log(even / tilted)).sum()
    parts = {3: 10 * np.exp(-near), 5: 30 * np.exp(-near), 8: 60 * np.exp(-far)}
    whole = sum(parts.values())
    assert found.body_weight == pytest.approx({client: part / whole for client, part in parts.items()})


def test_warm_up_is_one_cluster_by_samples() -> None:
    found = assigned(ClusterConfig(count=2, warmup_rounds=1))
    assert set(found.cluster.values()) == {0}
    assert found.weight == pytest.approx({3: 0.1, 5: 0.3, 8: 0.6})
    assert found.kld[8] > 0.1, "the spread is reported all the same"


def test_the_true_domains_in_place_of_clusters() -> None:
    counts, domains = {3: 10, 5: 30, 8: 60}, {3: 1, 5: 0, 8: 1, 9: 2}
    settings = ClusterConfig(count="oracle", warmup_rounds=1)
    first, second = (cluster_and_weigh(features(), counts, settings, 0, number, domains) for number in (0, 1))
    assert isinstance(first, Assignment)
    assert isinstance(second, Assignment)
    assert set(first.cluster.values()) == {0}, "warm-up is one cluster all the same"
    assert second.cluster == {3: 1, 5: 0, 8: 1}
    assert second.weight[5] == 1


def test_nobody_is_left() -> None:
    settings = ClusterConfig()
    assert cluster_and_weigh({}, {}, settings, 0, 0, {}) == Lost("no client took part in the round", "unfit")
    broken = {4: np.full((2, 2, 2), np.nan)}
    found = cluster_and_weigh(broken, {4: 1}, settings, 0, 0, {})
    assert isinstance(found, Lost)
    assert "client-04: its anchor features are not finite" in found.reason


def test_a_rule_of_ones_own_is_chosen_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choices, "CLUSTERINGS", {"odd": f"{__name__}:odd_and_even"})
    monkeypatch.setattr("raygan.federated.rules.CLUSTERINGS", choices.CLUSTERINGS)
    settings = ClusterConfig.model_construct(**ClusterConfig(warmup_rounds=0).model_dump() | {"clustering": "odd"})
    assert assigned(settings).cluster == {3: 0, 5: 1, 8: 0}


def odd_and_even(features: np.ndarray, count: object, seed: int) -> np.ndarray:
    return np.arange(len(features)) % 2


def test_a_small_cluster_joins_the_nearest_until_none_is_small() -> None:
    found = np.array([0, 0, 0, 1, 2, 2, 2])
    features = np.array([[0.0], [0.0], [0.3], [2.0], [5.0], [5.0], [5.0]])
    assert joined(features, found, 3).tolist() == [0, 0, 0, 0, 2, 2, 2], "2 is nearer to the mean 0.1 than to 5"
    assert joined(features, found, 4).tolist() == [0] * 7, "then 2 joins"
    assert joined(features, found, 1).tolist() == found.tolist()
    assert joined(features[:2], np.array([0, 1]), 3).tolist() == [1, 1], "as many as there are"


def test_who_joins_is_told_and_weighed_there() -> None:
    counts, settings = {3: 10, 5: 30, 8: 60}, ClusterConfig(count=2, warmup_rounds=0, beta=0)
    found = cluster_and_weigh(features(), counts, settings, 0, 0, {}, 2)
    assert isinstance(found, Assignment)
    assert set(found.cluster.values()) == {0}
    assert found.weight == pytest.approx({3: 0.1, 5: 0.3, 8: 0.6})
    assert found.faults == ("client-08: their clusters have fewer than 2 members, and join the nearest",)
