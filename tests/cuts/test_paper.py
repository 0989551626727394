"""The paper's networks as numbers, by hand."""

import pytest

from tests.cuts.paper import paper_devices, paper_networks


def test_flops_by_hand():
    generator, discriminator = paper_networks(batch=1)
    # A multiply-add is two. G 2: 3x3, 128 -> 128 on 14x14. D 3: 4x4, 128 -> 256 at 3x3.
    assert generator.forward_flops[2] == 2 * 9 * 128 * 128 * 196
    assert discriminator.forward_flops[3] == 2 * 16 * 128 * 256 * 9
    assert generator.forward_flops[0] == 2 * 110 * 12544
    assert discriminator.forward_flops[4] == 2 * 2304


def test_backward_is_twice_forward_except_on_images():
    generator, discriminator = paper_networks()
    assert generator.backward_flops == tuple(2 * flops for flops in generator.forward_flops)
    assert discriminator.backward_flops[0] == discriminator.forward_flops[0]
    assert discriminator.backward_flops[1:] == tuple(2 * flops for flops in discriminator.forward_flops[1:])


def test_bytes_by_hand():
    generator, discriminator = paper_networks(batch=64)
    assert generator.output_bytes == tuple(64 * 4 * n for n in (256 * 49, 128 * 196, 128 * 196, 64 * 784, 784))
    assert discriminator.output_bytes == tuple(64 * 4 * n for n in (64 * 196, 128 * 49, 128 * 49, 256 * 9, 1))
    # D 4: 2304 weights and a bias. G 4: 64 * 9 weights and a bias.
    assert discriminator.parameter_bytes[4] == 4 * 2305
    assert generator.parameter_bytes[4] == 4 * 577


def test_width_scales_the_channels():
    full, half = paper_networks(width=1.0)[0], paper_networks(width=0.5)[0]
    assert full.forward_flops[1] == pytest.approx(4 * half.forward_flops[1])


def test_devices_are_dealt_in_turn():
    names = [device.name for device in paper_devices(9)]
    assert names[:3] == ["paper_device_1", "paper_device_2", "paper_device_3"]
    assert names[7:] == ["paper_device_1", "paper_device_2"]
