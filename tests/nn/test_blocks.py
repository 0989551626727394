from __future__ import annotations

import pytest
import torch

from raygan.errors import ConfigError
from raygan.nn.blocks import Networks, paper_networks
from raygan.nn.network import build_networks, run_blocks
from raygan.nn.spec import NetworkSpec


@pytest.mark.parametrize(
    ("size", "channels", "classes", "width"), [(28, 1, 10, 1.0), (32, 3, 8, 0.25), (12, 1, 4, 0.01)]
)
def test_networks_fit_any_image(size: int, channels: int, classes: int, width: float) -> None:
    spec = NetworkSpec(size, channels, classes, width)
    networks = paper_networks(spec)
    labels = torch.arange(4) % classes
    images = run_blocks(networks.generator, torch.randn(4, 100), labels)
    assert images.shape == (4, channels, size, size)
    assert images.abs().max() <= 1
    assert run_blocks(networks.discriminator, images, labels).shape == (4,)


def test_the_papers_shapes() -> None:
    networks = paper_networks(NetworkSpec(28, 1, 10))
    x, labels, shapes = torch.randn(2, 100), torch.tensor([0, 1]), []
    for index, block in enumerate(networks.generator):
        x = block(x, labels) if index == 0 else block(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(256, 7, 7), (128, 14, 14), (128, 14, 14), (64, 28, 28), (1, 28, 28)]
    shapes = []
    for index, block in enumerate(networks.discriminator):
        x = block(x, labels) if index == 0 else block(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [(64, 14, 14), (128, 7, 7), (128, 7, 7), (256, 3, 3), ()]


def test_equal_seeds_give_equal_networks_and_leave_the_global_generator_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    spec = NetworkSpec(12, 1, 4, 0.05)
    first, second, other = (build_networks(spec, None, seed) for seed in (0, 0, 1))
    weights = [n.generator[0].linear.weight for n in (first, second, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert torch.equal(torch.rand(1), expected)


def seven_blocks(spec: NetworkSpec) -> Networks:
    """Networks of a user's own: one more inner block in each, other anchors."""
    networks = paper_networks(spec)
    channels = spec.scaled(128)
    extra = [torch.nn.Sequential(torch.nn.Conv2d(channels, channels, 3, padding=1), torch.nn.ReLU()) for _ in range(2)]
    networks.generator.insert(3, extra[0])
    networks.discriminator.insert(3, extra[1])
    return Networks(networks.generator, networks.discriminator, generator_anchor=3, discriminator_anchor=2)


def no_networks(spec: NetworkSpec) -> int:
    return 3


def test_blocks_of_a_users_own() -> None:
    networks = build_networks(NetworkSpec(12, 1, 4, 0.05), f"{__name__}:seven_blocks", 0)
    assert (len(networks.generator), networks.generator_anchor) == (6, 3)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere:f", "cannot be imported"),
        (f"{__name__}:missing", "cannot be imported"),
        ("no-colon", "cannot be imported"),
        (f"{__name__}:no_networks", "returned int; return a raygan.nn.Networks"),
    ],
)
def test_blocks_that_are_none_are_refused(path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"model.blocks: .*{message}"):
        build_networks(NetworkSpec(12, 1, 4, 0.05), path, 0)
