"""The planner's front door: the contract, limits of memory, and what is refused."""

import json

import pytest

from raygan.config import Config
from raygan.cuts import Device, NetworkCost, Server, plan, plan_config
from raygan.errors import CutError
from tests.cuts.paper import PAPER_FLEET, paper_networks

G, D = paper_networks()
SERVER = Server(flops_per_s=50e9, bytes_per_s=1e9)
FAST = {"flops_per_s": 100e9, "bytes_per_s": 1e9}


def make(devices, **arguments):
    return plan(generator=G, discriminator=D, devices=devices, server=SERVER, **arguments)


def need_bytes(cuts):
    """Weights, gradients, two moments, activations, of the blocks that a client keeps."""
    kept = [
        4 * cost.parameter_bytes[b] + cost.activation_bytes[b]
        for cost, (h, t) in zip((G, D), cuts, strict=True)
        for b in (*range(h + 1), *range(4 - t, 5))
    ]
    return sum(kept)


@pytest.mark.parametrize("solver", ["exact", "ga"])
def test_the_contract(solver):
    devices = [Device(name="pi", flops_per_s=0.48e9, bytes_per_s=50e6), Device("fast", **FAST)]
    found = make(devices, solver=solver, anchor=2, seed=0)
    assert len(found.cuts) == 2
    assert all(cut in {(0, 0), (0, 1), (1, 0), (1, 1)} for pair in found.cuts for cut in pair)
    assert sum(found.parts.values()) == pytest.approx(found.latency_s)
    assert 0 < found.lower_bound_s <= found.latency_s
    assert found.solver == solver
    assert found.seconds >= 0
    assert json.loads(json.dumps(found.to_json()))["clients"][0]["device"] == "pi"


def test_a_memory_limit_that_forbids_the_optimum_is_respected():
    free = make([Device("a", **FAST)] * 3)
    least = need_bytes(((0, 0), (0, 0)))
    limit = (least + need_bytes(free.cuts[0])) / 2
    assert free.cuts[0] != ((0, 0), (0, 0))
    bound = make([Device("a", **FAST, memory_bytes=limit)] * 3)
    assert all(need_bytes(cuts) <= limit for cuts in bound.cuts)
    assert bound.optimal
    assert bound.latency_s > free.latency_s
    evolved = make([Device("a", **FAST, memory_bytes=limit)] * 3, solver="ga")
    assert all(need_bytes(cuts) <= limit for cuts in evolved.cuts)


def test_memory_that_nothing_meets_names_device_need_and_have():
    least = need_bytes(((0, 0), (0, 0)))
    message = rf"^memory_bytes of device 'tiny': needs at least {least:,.0f} bytes, has 1,000; "
    with pytest.raises(CutError, match=message):
        make([Device("a", **FAST), Device("tiny", **FAST, memory_bytes=1000)])


def test_blocks_that_must_stay_local_or_must_not():
    devices = [
        Device("keeps", 1e6, 1e6, local_blocks=((1,), (3,))),
        Device("leaves", 1e15, 1e12, server_blocks=((1, 3), (1,))),
    ]
    keeps, leaves = make(devices).cuts
    assert (keeps[0][0], keeps[1][1]) == (1, 1)
    assert (leaves[0], leaves[1][0]) == ((0, 0), 0)


def test_equal_devices_with_other_names_are_one_class():
    found = make([Device(str(client), **FAST) for client in range(5)])
    assert len(found.problem.classes) == 1
    assert found.problem.sizes.tolist() == [5]


def test_networks_of_different_depth_and_a_pair_of_anchors():
    deep = NetworkCost([1e9] * 7, [2e9] * 7, [1e6] * 7)
    found = plan(generator=deep, discriminator=D, devices=[Device("a", **FAST)], server=SERVER, anchor=(4, None))
    assert found.optimal
    assert found.cuts[0][0][1] <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"devices": []}, r"^devices: empty; give one device a client$"),
        ({"solver": "magic"}, r"^solver: 'magic'; choose exact or ga$"),
        ({"anchor": 4}, r"^anchor: block 4 of a network of 5 blocks; "),
        ({"time_limit_s": 0}, r"^time_limit_s: 0; give a finite number > 0$"),
        ({"seed": -1, "solver": "ga"}, r"^seed: -1; give a whole number >= 0$"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(CutError, match=message):
        make(**{"devices": [Device("a", **FAST)], **arguments})


def test_times_that_overflow_are_refused():
    with pytest.raises(CutError, match=r"^devices: the predicted times overflow; "):
        make([Device("a", 1e-300, 1e-300)])


def test_fixed_cuts_are_checked():
    devices = [Device("a", **FAST), Device("b", **FAST, server_blocks=((1,), ()))]
    arguments = {"generator": G, "discriminator": D, "devices": devices, "server": SERVER}
    good = plan(cuts=[((1, 1), (0, 1)), ((0, 0), (1, 1))], **arguments)
    assert good.solver == "fixed"
    assert good.cuts == (((1, 1), (0, 1)), ((0, 0), (1, 1)))
    assert good.latency_s >= make(devices).latency_s
    with pytest.raises(CutError, match=r"^cuts: 1 entries for 2 clients; give one pair a client$"):
        plan(cuts=[((0, 0), (0, 0))], **arguments)
    with pytest.raises(CutError, match=r"^generator cut of device 'a': \(2, 0\) is not valid; give one of \(0, 0\), "):
        plan(cuts=[((2, 0), (0, 0))] * 2, **arguments)
    with pytest.raises(CutError, match=r"^cuts of device 'b': .* breaks its memory limit or its local_blocks"):
        plan(cuts=[((1, 0), (0, 0))] * 2, **arguments)


def test_the_fleet_is_dealt_in_turn_with_the_users_profiles():
    mine = {"flops_per_s": 1e9, "bytes_per_s": 1e6}
    config = Config(devices={"fleet": ["mine", "workstation"], "profiles": {"mine": mine}})
    devices = plan_config(config, generator=G, discriminator=D).problem.clients
    assert [device.name for device in devices] == ["mine", "workstation"] * 3
    assert devices[0].flops_per_s == 1e9


def test_fixed_cuts_by_profile():
    cuts = {"solver": "fixed", "fixed": {"paper_device_2": {"generator": [1, 1], "discriminator": [0, 1]}}}
    found = plan_config(Config(**{**PAPER_FLEET, "cuts": cuts}), generator=G, discriminator=D)
    assert found.solver == "fixed"
    assert found.cuts[:2] == (((0, 0), (0, 0)), ((1, 1), (0, 1)))
    cuts["fixed"]["paper_device_2"]["generator"] = [2, 2]
    with pytest.raises(CutError, match=r"^generator cut of device 'paper_device_2': \(2, 2\) is not valid; "):
        plan_config(Config(**{**PAPER_FLEET, "cuts": cuts}), generator=G, discriminator=D)
