"""The end of a round on the server: clustering and weighting of what the clients sent."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest

from raygan.config.loading import make_config
from raygan.run.plan import make_plan
from raygan.split.body import SharedBody
from raygan.wire.records import Assignment, Lost


@pytest.fixture
def body(tiny_settings: dict) -> SharedBody:
    plan = make_plan(make_config(tiny_settings))
    return SharedBody(plan.layout, plan.config)


def observe(body: SharedBody, *levels: float) -> None:
    """Anchor maps of two channels and four positions: clients of one level are alike."""
    rng = np.random.default_rng(0)
    for client, level in enumerate(levels):
        one = level * np.arange(8, dtype=np.float32).reshape(2, 2, 2) + 0.01 * rng.standard_normal((2, 2, 2))
        body._maps[client] = deque([one])


def assign(body: SharedBody, round_number: int, *counts: int) -> Assignment:
    answer = body.assign(round_number, dict(enumerate(counts)))
    assert isinstance(answer, Assignment)
    return answer


def test_warm_up_is_one_cluster_with_weights_by_samples(body: SharedBody) -> None:
    observe(body, 0, 0, 1)
    found = assign(body, 0, 10, 20, 70)
    assert found.cluster == {0: 0, 1: 0, 2: 0}
    assert list(found.weight.values()) == pytest.approx([0.1, 0.2, 0.7])
    assert found.body_weight == found.weight
    assert max(found.kld.values()) > 0, "the spread is reported all the same"


def test_after_it_alike_clients_are_together_and_the_body_weighs_all(body: SharedBody) -> None:
    observe(body, 0, 0, 1, 1)
    found = assign(body, 1, 10, 10, 10, 10)
    assert found.cluster == {0: 0, 1: 0, 2: 1, 3: 1}
    assert found.weight[0] + found.weight[1] == pytest.approx(1)
    assert sum(found.body_weight.values()) == pytest.approx(1)
    assert found.kld[0] < 1e-3, "against its own cluster, not against all"


def test_a_client_without_features_is_not_in_the_round(body: SharedBody) -> None:
    observe(body, 0, 0)
    assert set(assign(body, 1, 10, 10, 10).cluster) == {0, 1}


def test_fewer_clients_than_clusters_are_a_cluster_each(body: SharedBody) -> None:
    observe(body, 0.5)
    found = assign(body, 1, 10)
    assert (found.cluster, found.weight, found.kld) == ({0: 0}, {0: 1.0}, {0: 0.0})


def test_features_that_are_not_finite_are_a_reported_fault(body: SharedBody) -> None:
    observe(body, 0, 0, 1)
    body._maps[1][0][0, 0, 0] = np.nan
    found = assign(body, 1, 10, 10, 10)
    assert set(found.cluster) == {0, 2}
    assert found.faults == ("client-01: its anchor features are not finite; it is left out of the round's average",)


def test_a_round_without_clients_is_lost(body: SharedBody) -> None:
    assert body.assign(1, {}) == Lost("no client took part in the round", "unfit")


def test_a_body_that_is_not_finite_is_lost(body: SharedBody) -> None:
    body._trunks[0].blocks["generator"][2][0].weight.data[0] = float("inf")
    assert body.state() == Lost("the body's parameters are not finite", "not_finite")
