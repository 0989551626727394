"""A bound from limits on the two passes: never above brute force, close to it, and on time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raygan.cuts import Device, exact, plan
from raygan.cuts.exact import solve
from raygan.cuts.limits import NetworkLimits, bounded
from raygan.cuts.problem import Deadline, problem
from tests.cuts.paper import PAPER_SERVER, paper_networks
from tests.cuts.reference import backward_s, every_cut, exchanges_s, forward_s, network_s
from tests.cuts.test_exact import instances

quick = settings(deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
G, D = paper_networks()
PAPER = {"generator": G, "discriminator": D, "server": PAPER_SERVER}


def different(num: int, seed: int = 0) -> list[Device]:
    rng = np.random.default_rng(seed)
    return [Device(str(n), 10 ** rng.uniform(9, 11), 10 ** rng.uniform(7, 9)) for n in range(num)]


def limits_of(instance, anchor: int | None) -> NetworkLimits:
    costs, devices, server = instance
    task = problem(*costs, devices, server, anchor)
    return NetworkLimits(task, 0, np.any(task.allowed, axis=2))


@settings(quick, max_examples=40)
@given(instances(5, 4), st.sampled_from([2, None]), st.floats(0.5, 2), st.floats(0.5, 2))
def test_no_cut_that_some_plan_has_within_the_limits_is_out(instance, anchor, x, y) -> None:
    costs, devices, server = instance
    task = problem(*costs, devices, server, anchor)
    cost, limits = costs[0], limits_of(instance, anchor)
    plans = list(itertools.product(every_cut(cost.num_blocks, anchor), repeat=len(devices)))
    forward_exchanges, backward_exchanges = exchanges_s(cost, server, 1)
    passes = [
        (
            forward_s(cost.forward_flops, cost.output_bytes, cuts, devices, server, forward_exchanges),
            backward_s(cost.backward_flops, cost.output_bytes, cuts, devices, server, backward_exchanges),
        )
        for cuts in plans
    ]
    x_s, y_s = (factor * np.median([pair[place] for pair in passes]) for place, factor in ((0, x), (1, y)))
    left = limits.left(x_s, y_s)
    for cuts, (forward, backward) in zip(plans, passes, strict=True):
        if forward <= x_s and backward <= y_s:
            assert left is not None
            for client, cut in enumerate(cuts):
                assert left[task.class_of[client], task.cuts[0].index(cut)]


@settings(quick, max_examples=15)
@given(instances(5, 4), st.sampled_from([2, None]))
def test_the_bound_is_never_above_the_best_plan(instance, anchor) -> None:
    costs, devices, server = instance
    valid = every_cut(5, anchor)
    plans = itertools.product(valid, repeat=len(devices))
    best_s = min(network_s(costs[0], cuts, devices, server, 1) for cuts in plans)
    limits = limits_of(instance, anchor)
    task = problem(*costs, devices, server, anchor)
    start = np.zeros(len(task.classes), dtype=np.int64)
    bound_s, found = bounded(limits, start, Deadline(1))
    assert bound_s <= best_s * (1 + 1e-9)
    assert limits.seconds(found) <= limits.seconds(start)


def test_many_different_devices_are_bounded_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the program: by the limits alone."""
    monkeypatch.setattr(exact, "MANY", 1)
    task = problem(G, D, different(12), PAPER_SERVER)
    found = solve(task, 20, relaxed=True)
    optimum = plan(**PAPER, devices=different(12))
    assert optimum.optimal
    assert 0.97 * optimum.latency_s <= found.lower_bound_s <= optimum.latency_s * (1 + 1e-6)


def test_with_many_classes_the_plan_is_still_the_optimum(monkeypatch: pytest.MonkeyPatch) -> None:
    few = plan(**PAPER, devices=different(12, seed=1))
    monkeypatch.setattr(exact, "MANY", 1)
    many = plan(**PAPER, devices=different(12, seed=1))
    assert many.latency_s == pytest.approx(few.latency_s, rel=1e-6)
    assert many.optimal
    priced = {"objective": "weighted", "seconds_per_mb": 0.01}
    dear = plan(**PAPER, devices=different(12, seed=1), **priced)
    assert dear.optimal


@pytest.mark.slow
@pytest.mark.parametrize("anchor", [2, None])
@pytest.mark.parametrize("limit_s", [20.0, 60.0])
def test_a_thousand_different_devices_are_planned_in_time(anchor: int | None, limit_s: float) -> None:
    found = plan(**PAPER, devices=different(1000), anchor=anchor, time_limit_s=limit_s)
    assert found.seconds <= 1.1 * limit_s
    assert 0 < found.lower_bound_s <= found.latency_s
    assert found.gap <= (0.02 if anchor == 2 else 0.5)
