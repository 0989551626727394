"""What is minimised: seconds, bytes, or seconds with a price on bytes; against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from raygan.config.schema import GeneticConfig
from raygan.cuts import Device, NetworkCost, Server, exact, milp, plan
from raygan.cuts.program import Program
from raygan.errors import CutError
from tests.cuts.paper import PAPER_SERVER, paper_devices, paper_networks
from tests.cuts.reference import every_cut, fits, iteration_s
from tests.cuts.test_exact import instances

G, D = paper_networks()
PAPER = {"generator": G, "discriminator": D, "server": PAPER_SERVER}
quick = settings(
    deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much]
)


def moved_bytes(costs, cuts) -> float:
    """Each pass sends A_h up and A_{B-2-t} down, and their gradients the other ways; G has one, D three."""
    total = 0.0
    for pair in cuts:
        for cost, (h, t), passes in zip(costs, pair, (1, 3), strict=True):
            sent = cost.output_bytes
            total += 2 * passes * (sent[h] + sent[cost.num_blocks - 2 - t])
    return total


def every_plan(costs, devices, anchor):
    valid = [every_cut(cost.num_blocks, anchor) for cost in costs]
    options = [[pair for pair in itertools.product(*valid) if fits(costs, pair, device)] for device in devices]
    return itertools.product(*options)


def check(instance, anchor, price_s: float) -> None:
    costs, devices, server = instance
    plans = list(every_plan(costs, devices, anchor))
    assume(plans)
    arguments = {"generator": costs[0], "discriminator": costs[1], "devices": devices, "server": server}
    found = plan(**arguments, anchor=anchor, objective="weighted", seconds_per_mb=1e6 * price_s)
    best_s = min(iteration_s(costs, cuts, devices, server) + price_s * moved_bytes(costs, cuts) for cuts in plans)
    assert found.bytes == pytest.approx(moved_bytes(costs, found.cuts), rel=1e-12)
    assert found.value_s == pytest.approx(found.latency_s + price_s * found.bytes, rel=1e-9)
    assert found.value_s == pytest.approx(best_s, rel=1e-6)
    assert found.lower_bound_s <= best_s * (1 + 1e-6)
    assert found.optimal
    fewest = plan(**arguments, anchor=anchor, objective="bytes")
    least = min(moved_bytes(costs, cuts) for cuts in plans)
    assert fewest.bytes == pytest.approx(least, rel=1e-12)
    thrifty = [cuts for cuts in plans if moved_bytes(costs, cuts) <= least * (1 + 1e-12)]
    fastest_s = min(iteration_s(costs, cuts, devices, server) for cuts in thrifty)
    assert fewest.latency_s == pytest.approx(fastest_s, rel=1e-6)
    assert fewest.optimal


@settings(quick, max_examples=12)
@given(instances(5, 3))
def test_a_price_on_bytes_and_the_fewest_bytes_are_exact(instance) -> None:
    check(instance, 2, price_s=0.02)


@settings(quick, max_examples=8)
@given(instances(5, 2, memory=True))
def test_where_memory_couples_the_networks_and_no_block_is_the_anchor(instance) -> None:
    check(instance, None, price_s=0.1)


def test_sums_of_bytes_in_another_order_are_as_few() -> None:
    """44.749 and 19.219 have no exact sum: added up client by client, and cut by cut, they differ by rounding."""
    nothing, memory = [0.0] * 5, ([0, 0, 8, 8, 79], [85, 0, 0, 23, 12])
    costs = (
        NetworkCost(nothing, nothing, [0, 0, 44.749, 45, 0], memory[0], nothing),
        NetworkCost(nothing, nothing, [16, 19.219, 20, 35, 0], memory[1], nothing),
    )
    devices = [Device("0", 1, 1, 888), Device("1", 1, 1, 854)]
    fewest = plan(
        generator=costs[0], discriminator=costs[1], devices=devices, server=Server(1, 1), anchor=None, objective="bytes"
    )
    assert fewest.optimal
    assert fewest.bytes == fewest.least_bytes


def test_clients_of_one_class_may_split_where_bytes_have_a_price() -> None:
    # Two equal clients, block 1 of 4 FLOPs, server and clients 1 FLOP/s, free links. Nobody keeps block 1: the server
    # takes 8 s; one of them does: 4 s, each by itself; both: 4 s. Keeping it moves 10 bytes more each way: 2 s.
    middle = NetworkCost([0, 4, 0, 0], [0] * 4, [0, 10, 0, 0])
    free = NetworkCost([0] * 4, [0] * 4, [0] * 4)
    arguments = {"generator": middle, "discriminator": free, "devices": [Device("a", 1, 1e9)] * 2}
    found = plan(**arguments, server=Server(1, 1e9), anchor=2, objective="weighted", seconds_per_mb=0.1e6)
    assert sorted(cuts[0][0] for cuts in found.cuts) == [0, 1]
    assert found.value_s == pytest.approx(4 + 2, rel=1e-6)
    assert found.optimal


def test_the_genetic_algorithm_keeps_to_the_objective() -> None:
    devices = paper_devices(14)
    few = GeneticConfig(population=60, generations=40, stall=15)
    for arguments in ({"objective": "bytes"}, {"objective": "weighted", "seconds_per_mb": 0.05}):
        best = plan(**PAPER, devices=devices, **arguments)
        found = plan(**PAPER, devices=devices, solver="ga", genetic=few, **arguments)
        assert best.optimal
        assert found.bytes == pytest.approx(best.bytes) if arguments["objective"] == "bytes" else True
        assert best.value_s <= found.value_s * (1 + 1e-9) <= 1.02 * best.value_s * (1 + 1e-9)
        assert found.lower_bound_s <= best.value_s


def test_given_cuts_are_held_against_the_objective() -> None:
    fixed = {"cuts": [((0, 0), (1, 1))] * 7}
    found = plan(**PAPER, devices=paper_devices(7), objective="bytes", **fixed)
    assert found.bytes == pytest.approx(moved_bytes((G, D), fixed["cuts"]))
    assert found.gap == pytest.approx(1 - found.least_bytes / found.bytes)
    assert not found.optimal


def test_bytes_are_dearer_the_fewer_there_are() -> None:
    plans = [plan(**PAPER, devices=paper_devices(14), objective="weighted", seconds_per_mb=w) for w in (0, 0.003, 1e3)]
    fastest, fewest = (plan(**PAPER, devices=paper_devices(14), objective=name) for name in ("latency", "bytes"))
    assert plans[0].latency_s == pytest.approx(fastest.latency_s)
    assert plans[-1].bytes == fewest.bytes < fastest.bytes
    assert all(a.bytes >= b.bytes and a.latency_s <= b.latency_s + 1e-9 for a, b in itertools.pairwise(plans))


def test_a_negative_price_is_refused() -> None:
    with pytest.raises(CutError, match="seconds_per_mb: -1; give a finite number >= 0"):
        plan(**PAPER, devices=paper_devices(7), objective="weighted", seconds_per_mb=-1)


def several(num: int) -> list[Device]:
    rng = np.random.default_rng(0)
    return [Device(str(n), 10 ** rng.uniform(9, 11), 10 ** rng.uniform(7, 9)) for n in range(num)]


def test_a_process_of_its_own_finds_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    here = plan(**PAPER, devices=several(6))
    monkeypatch.setattr(milp, "LARGE", 0)
    apart = plan(**PAPER, devices=several(6))
    assert (apart.latency_s, apart.optimal) == (pytest.approx(here.latency_s, rel=1e-9), True)


def test_a_solver_that_does_not_look_at_its_limit_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan is that of the local search, the bound that of the slowest device alone."""
    monkeypatch.setattr(milp, "LARGE", 0)
    seen = []
    popen = milp.subprocess.Popen

    def hangs(command, **keys):
        process = popen([command[0], "-c", "import time; time.sleep(600)"], **keys)
        seen.append(process)
        return process

    monkeypatch.setattr(milp.subprocess, "Popen", hangs)
    found = plan(**PAPER, devices=several(6), time_limit_s=1)
    assert seen
    assert all(process.returncode == -9 for process in seen)
    assert 0 < found.lower_bound_s <= found.latency_s


def test_out_of_time_while_the_program_is_built_there_is_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(exact, "solve_within", lambda *arguments: asked.append(arguments) or (0.0, None))
    monkeypatch.setattr(exact, "Deadline", lambda limit_s: exact_deadline(0.0))
    found = exact.solve(task_of(several(6)), 60)
    assert not asked
    assert found.lower_bound_s > 0


def exact_deadline(limit_s: float):
    from raygan.cuts.problem import Deadline

    return Deadline(limit_s)


def task_of(devices: list[Device]):
    from raygan.cuts.problem import problem

    return problem(G, D, devices, PAPER_SERVER)


def test_a_program_has_its_rows() -> None:
    # minimise x + 2 y, x + y >= 3, y >= 1, x <= 1.5, y whole: x = 1, y = 2.
    program = Program()
    x, y = program.variable(1.5, cost=1.0), program.variable(whole=True, cost=2.0)
    program.at_least(3.0, {x: 1.0, y: 1.0})
    program.at_least(1.0, {y: 1.0})
    bound, values = milp.solve_within(program.arrays(), 10.0, relaxed=False)
    assert values == pytest.approx([1.0, 2.0])
    assert bound == pytest.approx(5.0)
    relaxed, _ = milp.solve_within(program.arrays(), 10.0, relaxed=True)
    assert relaxed == pytest.approx(1.5 + 2 * 1.5)
    relaxed, _ = milp.solve_within(program.arrays(), 10.0, relaxed=True)
    assert relaxed == pytest.approx(1.5 + 2 * 1.5)
