"""The end of a round against its formulas, written out: who is in it, KLD, weights, averages with holes.

P_k[c, :] = softmax over the positions of the mean of channel c of client k's last real minibatches at D's anchor block
Q_k = mean of P_j over the other members j;  KLD_k = mean over c of sum over s of Q_k ln(Q_k / P_k)
w_k = n_k exp(-beta KLD_k) / sum;  theta_b = sum over k of w_k (theta_b of client k, or of the body where k lacks b)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import exp, log
from typing import Any

import numpy as np
import pytest

from raygan.algorithms.huscf import HuscfGan
from raygan.config.loading import make_config
from raygan.names import BlockKey
from raygan.run.plan import Plan, make_plan
from raygan.runtime.steps import Cohort, Epochs
from raygan.wire.records import Assignment, State, StepId
from tests.federations import Started, in_process
from tests.run.reference import Reference

NUM_SAMPLES = {0: 32, 1: 32, 2: 32, 3: 20, 4: 20}
WARM_UP, CLUSTERED = 0, 1
"""Rounds."""


@pytest.fixture
def plan(tiny_settings: dict[str, Any]) -> Plan:
    """Five clients with three kinds of cuts, the last two real minibatches count, KLD has a say."""
    first, second = tiny_settings["data"]["domains"]
    changed = {
        "data": {"domains": [first, second | {"clients": 2, "limit": 40}]},
        "clusters": {"count": 2, "warmup_rounds": 1, "feature_batches": 2, "beta": 30},
    }
    return make_plan(make_config(tiny_settings | changed))


@pytest.fixture
def started(plan: Plan) -> Iterator[Started]:
    started = in_process(plan)
    yield started
    started.close()


def huscf(plan: Plan) -> HuscfGan:
    assert isinstance(plan.algorithm, HuscfGan)
    return plan.algorithm


def trained(started: Started, number: int) -> dict[int, np.ndarray]:
    """Trains three steps of a round; the oracle's mean anchor activation of each client, (C, positions)."""
    reference = Reference(started.layout, started.plan.config, number)
    started.begin_round(number)
    for step in range(3):
        reference.step(step)
        started.reports(StepId(number, step))
    means = {c: (maps[-2] + maps[-1]) / 2 for c, maps in reference.anchors.items()}
    return {client: mean.flatten(1).double().numpy() for client, mean in means.items()}


def assigned(started: Started, number: int) -> Assignment:
    cohort = started.cohort(number, 3)
    return huscf(started.plan).cluster_and_weigh(started.federation, cohort, NUM_SAMPLES)


def kld_of(client: int, members: list[int], maps: Mapping[int, np.ndarray]) -> float:
    """One channel, one position at a time."""
    others = [member for member in members if member != client]
    if not others:
        return 0.0
    channels = []
    for c in range(len(maps[client])):
        p = {m: np.exp(maps[m][c]) / sum(exp(x) for x in maps[m][c]) for m in members}
        q = sum(p[m] for m in others) / len(others)
        channels.append(sum(float(b) * log(b / a) for a, b in zip(p[client], q, strict=True)))
    return sum(channels) / len(channels)


def weights_of(members: list[int], maps: Mapping[int, np.ndarray], beta: float) -> dict[int, float]:
    raw = {m: NUM_SAMPLES[m] * exp(-beta * kld_of(m, members, maps)) for m in members}
    return {member: value / sum(raw.values()) for member, value in raw.items()}


def members_of(assignment: Assignment) -> list[list[int]]:
    clusters = sorted(set(assignment.cluster.values()))
    return [[c for c, found in assignment.cluster.items() if found == cluster] for cluster in clusters]


def average_of(
    key: BlockKey, name: str, weights: Mapping[int, float], states: Mapping[int, State], body: State
) -> np.ndarray:
    held = [states[c].blocks.get(key, body.blocks.get(key)) for c in weights]
    total = sum(w * block[name].astype(np.float64) for w, block in zip(weights.values(), held, strict=True) if block)
    return np.asarray(total)


def assert_averages(state: State, weights: Mapping[int, float], before: dict[int, State], body: State) -> None:
    for key, block in state.blocks.items():
        for name, array in block.items():
            expected = average_of(key, name, weights, before, body)
            atol = 0.5 if name.endswith("num_batches_tracked") else 1e-6  # rounded
            np.testing.assert_allclose(array, expected, rtol=1e-5, atol=atol, err_msg=f"{key} {name}")


def test_a_clustered_round_ends_as_the_formulas_say(started: Started) -> None:
    maps = trained(started, CLUSTERED)
    assignment = assigned(started, CLUSTERED)
    assert len(members_of(assignment)) == 2
    weights: dict[int, dict[int, float]] = {}
    for members in members_of(assignment):
        for client in members:
            weights[client] = weights_of(members, maps, beta=30)
            assert assignment.kld[client] == pytest.approx(kld_of(client, members, maps), rel=1e-3, abs=1e-7)
            assert assignment.weight[client] == pytest.approx(weights[client][client], rel=1e-4)
    over_all = weights_of(list(range(5)), maps, beta=30)
    assert assignment.body_weight == pytest.approx(over_all, rel=1e-4)
    before, body = started.states(), started.body_state()
    huscf(started.plan).aggregate(started.federation, assignment, assignment.cluster)
    for client, state in started.states().items():
        mine = {c: assignment.weight[c] for c in weights[client]}
        assert_averages(state, mine, before, body)
    assert_averages(started.body_state(), assignment.body_weight, before, body)


def test_the_last_warm_up_round_is_one_cluster_by_samples(started: Started) -> None:
    trained(started, WARM_UP)
    assignment = assigned(started, WARM_UP)
    shares = {client: count / 136 for client, count in NUM_SAMPLES.items()}
    assert assignment.cluster == dict.fromkeys(range(5), 0)
    assert assignment.weight == pytest.approx(shares)
    assert assignment.body_weight == pytest.approx(shares)


def test_who_is_late_or_was_not_drawn_is_not_in_the_average(started: Started) -> None:
    layout = started.layout
    epochs, late = Epochs(late={layout.worker_of[3]}), set(layout.workers[layout.worker_of[3]].ids)
    drawn = Cohort(CLUSTERED, 3, (0, 1, 3, 4), 1)
    found = started.federation.check_in(drawn, epochs)
    assert found == {client: NUM_SAMPLES[client] for client in {0, 1, 3, 4} - late}
