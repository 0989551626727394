from __future__ import annotations

from types import SimpleNamespace

import psutil
import pytest
import torch

from raygan.config.loading import make_config
from raygan.errors import ConfigError
from raygan.nn.blocks import Networks, paper_networks
from raygan.nn.network import build_networks, placed, run_blocks
from raygan.nn.projection import ProjectionBlock, projection_networks
from raygan.nn.residual import map_sides, residual_networks
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
        ("no-colon", "'no-colon' is no import path; write package.module:function"),
        (f"{__name__}:no_networks", "returned int; return a raygan.nn.Networks"),
    ],
)
def test_blocks_that_are_none_are_refused(path: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"model.blocks: .*{message}"):
        build_networks(NetworkSpec(12, 1, 4, 0.05), path, 0)


def test_a_projection_by_hand() -> None:
    """w = (1, 2), b = 3, V_1 = (10, 20), phi = (4, 5): 4 + 10 + 3, and 40 + 100 more for class 1."""
    block = ProjectionBlock(NetworkSpec(12, 1, 2), 2)
    with torch.no_grad():
        block.linear.weight.copy_(torch.tensor([[1.0, 2.0]]))
        block.linear.bias.fill_(3)
        block.classes.weight.copy_(torch.tensor([[0.0, 0.0], [10.0, 20.0]]))
    phi = torch.tensor([[4.0, 5.0]]).expand(2, 2).unflatten(1, (2, 1, 1))
    assert block(phi, torch.tensor([0, 1])).tolist() == [17, 157]


def test_no_block_of_a_projecting_discriminator_but_the_last_sees_a_label() -> None:
    networks = projection_networks(NetworkSpec(12, 1, 4, 0.05))
    images, labels = torch.randn(2, 1, 12, 12), torch.tensor([0, 1])
    features = run_blocks(networks.discriminator[:-1], images)
    assert run_blocks(networks.discriminator, images, labels).shape == (2,)
    assert networks.discriminator[-1](features, labels).shape == (2,)


def label_in(network: str, index: int) -> Networks:
    networks = paper_networks(NetworkSpec(12, 1, 4, 0.05))
    getattr(networks, network)[index].takes_labels = True
    return networks


def in_the_body(spec: NetworkSpec) -> Networks:
    return label_in("discriminator", 3)


def in_the_generators_last(spec: NetworkSpec) -> Networks:
    return label_in("generator", 4)


@pytest.mark.parametrize(
    ("function", "found"), [("in_the_body", "3 of the discriminator"), ("in_the_generators_last", "4 of the generator")]
)
def test_labels_for_a_block_that_the_server_may_have_are_refused(function: str, found: str) -> None:
    message = f"model.networks: block {found} takes labels; give them to the first block"
    with pytest.raises(ConfigError, match=message):
        build_networks(NetworkSpec(12, 1, 4, 0.05, networks=f"{__name__}:{function}"), None, 0)


def test_a_first_block_that_says_nothing_takes_the_labels() -> None:
    networks = build_networks(NetworkSpec(12, 1, 4, 0.05, networks=f"{__name__}:bare"), None, 0)
    assert run_blocks(networks.discriminator, torch.randn(2, 1, 12, 12), torch.tensor([0, 3])).tolist() == [0, 3]


class BareBlock(torch.nn.Module):
    """Nothing about labels."""

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return labels


def bare(spec: NetworkSpec) -> Networks:
    return Networks(paper_networks(spec).generator, [BareBlock(), *(torch.nn.Identity() for _ in range(3))])


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"networks": "projektion"}, "unknown name 'projektion'; did you mean 'projection'"),
        ({"networks": "residual", "blocks": "a:b"}, "blocks 'a:b' and networks 'residual' together"),
    ],
)
def test_networks_that_are_named_wrongly_are_refused(model: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        make_config({"model": model})


@pytest.mark.parametrize(
    ("size", "sides", "anchors"),
    [
        (8, [4, 8], (1, 1)),
        (28, [7, 14, 28], (1, 1)),
        (32, [4, 8, 16, 32], (1, 1)),
        (64, [4, 8, 16, 32, 64], (1, 2)),
        (128, [4, 8, 16, 32, 64, 128], (1, 3)),
    ],
)
def test_residual_networks_grow_with_the_images_side(size: int, sides: list, anchors: tuple) -> None:
    """A block a doubling; the anchors' maps are 8x8, or nearest to that."""
    networks = residual_networks(NetworkSpec(size, 3, 4, 0.03125))
    assert map_sides(size) == sides
    assert (networks.generator_anchor, networks.discriminator_anchor) == anchors
    assert len(networks.generator) == len(networks.discriminator) == len(sides) + 1
    labels, found = torch.tensor([0, 3]), []
    x = networks.generator[0](torch.randn(2, 100), labels)
    for block in networks.generator[1:]:
        found.append(x.shape[-1])
        x = block(x)
    assert (found, tuple(x.shape)) == (sides, (2, 3, size, size))
    assert x.abs().max() <= 1
    found = []
    for block in networks.discriminator[:-1]:
        x = block(x)
        found.append(x.shape[-1])
    assert found == [*sides[-2::-1], sides[0]]
    assert networks.discriminator[-1](x, labels).shape == (2,)


def test_the_first_linear_layer_of_residual_networks_is_small() -> None:
    """At 128 pixels and full width: 110 x 256 x 4 x 4 and its norm, where the paper's has 28.8 million."""
    first = residual_networks(NetworkSpec(128, 3, 10)).generator[0]
    assert sum(p.numel() for p in first.parameters()) < 0.5e6


@pytest.mark.parametrize("networks", ["paper", "projection", "plane_projection", "residual"])
def test_spectral_norm_takes_the_place_of_batch_norm_in_the_discriminator(networks: str) -> None:
    built = build_networks(NetworkSpec(28, 1, 4, 0.0625, spectral_norm=True, networks=networks), None, 0)
    layers = [layer for block in built.discriminator for layer in block.modules()]
    assert not any(isinstance(layer, torch.nn.BatchNorm2d) for layer in layers)
    images, labels = torch.randn(2, 1, 28, 28), torch.tensor([0, 3])
    for _ in range(30):  # each pass is one more iteration towards the largest singular value
        run_blocks(built.discriminator, images, labels)
    kinds = (torch.nn.Conv2d, torch.nn.Linear)
    for weight in (layer.weight.detach() for layer in layers if isinstance(layer, kinds)):
        assert torch.linalg.matrix_norm(weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


def test_spectral_norm_that_networks_of_ones_own_do_not_have_is_refused() -> None:
    spec = NetworkSpec(12, 1, 4, 0.05, spectral_norm=True, networks=f"{__name__}:bare")
    with pytest.raises(ConfigError, match=r"model.spectral_norm: no layer of the discriminator of .*:bare has it"):
        build_networks(spec, None, 0)


def test_networks_that_no_memory_can_hold_are_refused_before_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawing their numbers would take minutes. 3,038,662 parameters of the paper's width, twice in float32."""
    spec = NetworkSpec(28, 1, 10, 1.0, 100, 10)
    memory = SimpleNamespace(total=8 * 3_038_662)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    build_networks(spec, None, 0)
    memory.total -= 1
    with pytest.raises(
        ConfigError, match=r"model: networks of 3,038,662 parameters need 24\.3 MB with their gradients"
    ):
        build_networks(spec, None, 0)


@pytest.mark.parametrize(
    "of_d", [{}, {"spectral_norm": True}, {"group_norm": True}], ids=["batch", "spectral", "group"]
)
@pytest.mark.parametrize("networks", ["paper", "projection", "plane_projection", "residual"])
def test_what_is_not_trained_is_what_batch_norm_takes_away(networks: str, of_d: dict) -> None:
    """The gradients of such biases are 0 but for rounding, those of everything else are not."""
    made = build_networks(NetworkSpec(16, 1, 4, 0.1, networks=networks, **of_d), None, 0)
    parameters = {f"{key} {n}": p for key, block in made.blocks.items() for n, p in block.double().named_parameters()}
    kept = {name for name, parameter in parameters.items() if not parameter.requires_grad}
    for parameter in parameters.values():
        parameter.requires_grad_(True)
    torch.manual_seed(0)
    labels, images = torch.arange(8) % 4, torch.randn(8, 1, 16, 16, dtype=torch.float64)
    fakes = run_blocks(made.generator, torch.randn(8, 100, dtype=torch.float64), labels)
    logits = run_blocks(made.discriminator, images, labels)
    (torch.sum(torch.randn_like(fakes) * fakes) + torch.sum(torch.randn_like(logits) * logits)).backward()
    assert kept == {name for name, parameter in parameters.items() if parameter.grad.abs().max() < 1e-12}


@pytest.mark.parametrize("networks", ["paper", "projection", "plane_projection"])
def test_on_cpus_maps_have_their_channels_last_and_numbers_do_not_depend_on_it(networks: str) -> None:
    made = build_networks(NetworkSpec(16, 3, 4, 0.125, networks=networks), None, 0)
    labels, x = torch.arange(4), torch.randn(4, 16, 8, 8)
    block = made.generator[2].eval()
    for given in (x, x.contiguous(memory_format=torch.channels_last)):
        assert block(given).is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(block(given), block(x))
    images = run_blocks(made.generator, torch.randn(4, 100), labels)
    assert run_blocks(made.discriminator, images, labels).shape == (4,)
    elsewhere = placed(made.discriminator[1], torch.device("meta"))
    assert all(parameter.is_contiguous() for parameter in elsewhere.parameters())


@pytest.mark.parametrize("networks", ["paper", "projection", "plane_projection", "residual"])
def test_where_gradients_are_image_by_image_everything_is_contiguous(networks: str) -> None:
    """Opacus reads maps as if they were; fakes that come of G are among them."""
    made = build_networks(NetworkSpec(16, 3, 4, 0.125, networks=networks, group_norm=True), None, 0)
    assert all(parameter.is_contiguous() for block in made.blocks.values() for parameter in block.parameters())
    assert run_blocks(made.generator, torch.randn(4, 100), torch.arange(4)).is_contiguous()
