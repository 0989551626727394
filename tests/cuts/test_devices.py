"""The catalogue of devices that ships with raygan."""

import pytest

from raygan.config import catalogue
from raygan.cuts import Device

# Design 3.4: GFLOP/s and MB/s of the paper's seven devices.
PAPER = [(0.48, 50), (48, 150), (124.8, 1000), (45.76, 300), (16, 50), (36, 100), (120, 800)]


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
