"""Bad numbers are refused by the name of their field; the catalogue's devices are the paper's and real ones."""

import numpy as np
import pytest

from raygan.config import catalogue
from raygan.cuts import Device, NetworkCost, Server
from raygan.errors import CutError

# arXiv 2507.12979: GFLOP/s and MB/s of the paper's seven devices.
PAPER = [(0.48, 50), (48, 150), (124.8, 1000), (45.76, 300), (16, 50), (36, 100), (120, 800)]
GOOD = {"forward_flops": [1, 2, 3], "backward_flops": [2, 4, 6], "output_bytes": [4, 4, 0]}


@pytest.mark.parametrize("field", GOOD)
@pytest.mark.parametrize("bad", [-1, float("nan"), float("inf"), "7", None, True])
def test_a_bad_entry_is_named_with_its_block(field, bad):
    with pytest.raises(CutError, match=rf"^{field}\[1\]: .*; give a (finite )?number >= 0$"):
        NetworkCost(**{**GOOD, field: [1, bad, 3]})


@pytest.mark.parametrize("field", ["backward_flops", "output_bytes"])
def test_lists_of_different_lengths_are_refused(field):
    with pytest.raises(CutError, match=rf"^{field}: 4 entries, but forward_flops has 3; give one entry a block$"):
        NetworkCost(**{**GOOD, field: [1, 2, 3, 4]})


def test_optional_lists_are_checked_too():
    with pytest.raises(CutError, match=r"^parameter_bytes\[0\]: -4; "):
        NetworkCost(**GOOD, parameter_bytes=[-4, 0, 0])
    with pytest.raises(CutError, match=r"^activation_bytes: 5 entries, but forward_flops has 3; "):
        NetworkCost(**GOOD, activation_bytes=[0] * 5)


def test_two_blocks_are_too_few():
    with pytest.raises(CutError, match=r"^forward_flops: 2 blocks; give at least 3: head, body and tail$"):
        NetworkCost([1, 1], [1, 1], [1, 1])


def test_a_number_is_not_a_list():
    with pytest.raises(CutError, match=r"^output_bytes: 4 is not a list; give one number a block$"):
        NetworkCost([1, 1, 1], [1, 1, 1], 4)


def test_arrays_are_welcome_and_costs_are_hashable():
    cost = NetworkCost(np.ones(3), np.ones(3, dtype=np.float32), np.ones(3, dtype=int))
    assert cost.output_bytes == (1.0, 1.0, 1.0)
    assert hash(cost) == hash(NetworkCost([1] * 3, [1] * 3, [1] * 3))


def test_memory_is_four_copies_of_the_parameters_and_the_activations():
    cost = NetworkCost(**GOOD, parameter_bytes=[1, 10, 100], activation_bytes=[5, 6, 7])
    assert cost.memory_bytes == (9.0, 46.0, 407.0)
    assert NetworkCost(**GOOD, parameter_bytes=[1, 1, 1]).memory_bytes is None


@pytest.mark.parametrize("field", ["flops_per_s", "bytes_per_s", "memory_bytes"])
@pytest.mark.parametrize("bad", [0, -1, float("nan"), "fast"])
def test_a_device_names_its_bad_field(field, bad):
    numbers = {"flops_per_s": 1e9, "bytes_per_s": 1e6, field: bad}
    with pytest.raises(CutError, match=rf"^{field} of device 'pi': .*; give a (finite )?number > 0$"):
        Device(name="pi", **numbers)


@pytest.mark.parametrize("field", ["flops_per_s", "bytes_per_s"])
def test_a_server_names_its_bad_field(field):
    with pytest.raises(CutError, match=rf"^{field} of the server: 0; give a finite number > 0$"):
        Server(**{"flops_per_s": 1e9, "bytes_per_s": 1e6, field: 0})


@pytest.mark.parametrize("bad", [1, ((1,),), (("a",), ())])
def test_block_sets_are_a_pair_of_lists(bad):
    with pytest.raises(CutError, match=r"^local_blocks of device 'pi': .*; give a pair of lists"):
        Device("pi", 1, 1, local_blocks=bad)


def test_a_device_from_its_profile():
    profile = catalogue()["jetson_nano"]
    device = Device.from_profile("jetson_nano", profile)
    assert (device.flops_per_s, device.bytes_per_s) == (profile.flops_per_s, profile.bytes_per_s)
    assert device.memory_bytes == profile.memory_bytes


@pytest.mark.parametrize(("number", "gflops", "megabytes"), [(i + 1, *pair) for i, pair in enumerate(PAPER)])
def test_the_papers_devices_have_the_papers_numbers(number, gflops, megabytes):
    profile = catalogue()[f"paper_device_{number}"]
    assert profile.flops_per_s == pytest.approx(gflops * 1e9)
    assert profile.bytes_per_s == pytest.approx(megabytes * 1e6)
    assert profile.memory_bytes is None


def test_every_profile_says_where_it_comes_from_and_asks_for_itself():
    profiles = catalogue()
    assert {"raspberry_pi_4", "jetson_nano", "workstation"} <= set(profiles)
    for name, profile in profiles.items():
        assert len(profile.source) > 20, name
        assert profile.resources == {name: 1}
        assert Device.from_profile(name, profile).name == name


def test_real_devices_have_memory():
    real = {name: profile for name, profile in catalogue().items() if not name.startswith("paper_")}
    assert len(real) >= 8
    assert all(profile.memory_bytes for profile in real.values())
