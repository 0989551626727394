"""The exact solver against brute force over every assignment, and its proof."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from raygan.cuts import Device, NetworkCost, Server, plan
from tests.cuts.paper import PAPER_SERVER, paper_devices, paper_networks
from tests.cuts.reference import brute_force_s, fits, iteration_s

numbers = st.floats(0, 100, allow_subnormal=False).map(lambda value: round(value, 3))
speeds = st.floats(0.01, 100, allow_subnormal=False)


@st.composite
def networks(draw, blocks):
    lists = st.lists(numbers, min_size=blocks, max_size=blocks)
    return NetworkCost(*(draw(lists) for _ in range(5)))


@st.composite
def instances(draw, blocks, most_devices, memory=False):
    """Costs, devices (some of them equal), server."""
    costs = (draw(networks(blocks)), draw(networks(blocks)))
    limits = st.floats(100, 4000) if memory else st.none()
    kinds = draw(st.lists(st.tuples(speeds, speeds, limits), min_size=1, max_size=most_devices))
    order = draw(st.lists(st.integers(0, len(kinds) - 1), min_size=1, max_size=most_devices))
    devices = [Device(str(kind), *kinds[kind]) for kind in order]
    return costs, devices, Server(draw(speeds), draw(speeds))


def check(instance, anchor):
    costs, devices, server = instance
    best_s = brute_force_s(costs, devices, server, anchor)
    assume(np.isfinite(best_s))
    found = plan(generator=costs[0], discriminator=costs[1], devices=devices, server=server, anchor=anchor)
    assert found.latency_s == pytest.approx(best_s, rel=1e-6)
    assert found.latency_s == pytest.approx(iteration_s(costs, found.cuts, devices, server), rel=1e-9)
    assert found.lower_bound_s <= best_s * (1 + 1e-6)
    assert found.optimal
    assert all(fits(costs, pair, device) for pair, device in zip(found.cuts, devices, strict=True))


quick = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


@settings(quick, max_examples=30)
@given(instances(5, 4))
def test_five_blocks_four_devices(instance):
    check(instance, 2)


@st.composite
def replicated(draw, blocks, most_devices):
    """As `instances`, with BatchNorm in the blocks and several servers that exchange what it needs."""
    costs, devices, server = draw(instances(blocks, most_devices))
    layers = st.lists(st.integers(0, 3), min_size=blocks, max_size=blocks)
    costs = [replace(cost, norm_layers=draw(layers), norm_channels=draw(layers)) for cost in costs]
    return costs, devices, replace(server, replicas=draw(st.integers(2, 4)), exchange_s=draw(numbers) / 10)


@settings(quick, max_examples=16)
@given(replicated(5, 3), st.sampled_from([None, 2]))
def test_replicas_of_the_server(instance, anchor):
    check(instance, anchor)


@settings(quick, max_examples=8)
@given(instances(5, 4))
def test_five_blocks_four_devices_without_an_anchor(instance):
    check(instance, None)


@settings(quick, max_examples=12)
@given(instances(7, 3), st.integers(1, 5))
def test_seven_blocks_three_devices(instance, anchor):
    check(instance, anchor)


@settings(quick, max_examples=12)
@given(instances(5, 2, memory=True), st.sampled_from([None, 2]))
def test_five_blocks_with_memory_that_couples_the_networks(instance, anchor):
    check(instance, anchor)


@pytest.mark.slow
@settings(quick, max_examples=10)
@given(instances(7, 4), st.sampled_from([3, 2]))
def test_seven_blocks_four_devices(instance, anchor):
    check(instance, anchor)


@pytest.mark.slow
@settings(quick, max_examples=150)
@given(instances(5, 4), st.sampled_from([1, 2, 3, None]))
def test_many_instances_of_five_blocks(instance, anchor):
    check(instance, anchor)


@pytest.mark.slow
@settings(quick, max_examples=60)
@given(instances(7, 2), st.sampled_from([2, 4, None]))
def test_many_instances_of_seven_blocks(instance, anchor):
    check(instance, anchor)


def paper_plan(num_clients, **arguments):
    generator, discriminator = paper_networks()
    devices = paper_devices(num_clients)
    return plan(generator=generator, discriminator=discriminator, devices=devices, server=PAPER_SERVER, **arguments)


def test_eighty_clients_of_the_paper_are_proven_within_the_limit():
    found = paper_plan(80, time_limit_s=10)
    assert found.optimal
    assert found.gap <= 1e-6
    assert found.seconds < 20


def test_a_thousand_clients_over_seven_profiles_are_proven():
    found = paper_plan(1000, time_limit_s=60)
    assert found.gap <= 0.01
    assert found.seconds < 70


def test_clients_of_one_class_may_split_without_an_anchor():
    # Four equal clients, blocks 1 and 2 of 5 FLOPs, server 1 FLOP/s, clients 0.5 FLOP/s, free links.
    # All keep block 1: 10 + 4*5 = 30 s. All keep block 2: 4*5 + 10 = 30 s. Two each: the server does block 1
    # for two while the others compute theirs, 10 s; then block 2 for those, while the first two finish: 20 s.
    middle = NetworkCost([0, 5, 5, 0], [0] * 4, [0] * 4)
    free = NetworkCost([0] * 4, [0] * 4, [0] * 4)
    devices = [Device("a", 0.5, 1)] * 4
    found = plan(generator=middle, discriminator=free, devices=devices, server=Server(1, 1), anchor=None)
    assert found.latency_s == pytest.approx(20)
    assert found.optimal
    assert sorted(cuts[0] for cuts in found.cuts) == [(0, 1), (0, 1), (1, 0), (1, 0)]


def test_out_of_time_it_still_has_a_plan_and_an_honest_bound():
    rng = np.random.default_rng(0)
    devices = [Device(str(i), 10 ** rng.uniform(9, 11), 10 ** rng.uniform(7, 9)) for i in range(60)]
    generator, discriminator = paper_networks()
    arguments = {
        "generator": generator,
        "discriminator": discriminator,
        "devices": devices,
        "server": PAPER_SERVER,
    }
    hurried = plan(**arguments, anchor=None, time_limit_s=0.05)
    assert 0 < hurried.lower_bound_s < hurried.latency_s
    assert not hurried.optimal
    assert len(hurried.cuts) == 60
    assert hurried.seconds < 10


def test_free_networks_cost_nothing():
    free = NetworkCost([0] * 5, [0] * 5, [0] * 5)
    found = plan(generator=free, discriminator=free, devices=[Device("a", 1, 1)], server=Server(1, 1))
    assert (found.latency_s, found.gap, found.optimal) == (0.0, 0.0, True)
