"""What the paper's blocks cost, by hand. A multiply-add is two FLOPs; norms, activations and embeddings are free."""

from __future__ import annotations

import pytest

from raygan.nn.blocks import paper_networks
from raygan.nn.cost import BlockCosts, network_costs
from raygan.nn.spec import NetworkSpec

BATCH = 3
GENERATOR = (
    2 * 110 * 12544,  # 100 of z and 10 of the label -> 256 x 7 x 7
    2 * 16 * 256 * 128 * 49,  # a transposed convolution visits its input's 7 x 7 pixels
    2 * 9 * 128 * 128 * 196,
    2 * 16 * 128 * 64 * 196,
    2 * 9 * 64 * 1 * 784,
)
DISCRIMINATOR = (
    2 * 16 * 2 * 64 * 196,  # the image and the label's plane
    2 * 16 * 64 * 128 * 49,
    2 * 9 * 128 * 128 * 49,
    2 * 16 * 128 * 256 * 9,
    2 * 2304,
)


@pytest.fixture(scope="module")
def costs() -> tuple[BlockCosts, BlockCosts]:
    spec = NetworkSpec(28, 1, 10)
    return network_costs(paper_networks(spec), spec, BATCH)


def test_forward_flops(costs: tuple[BlockCosts, BlockCosts]) -> None:
    generator, discriminator = costs
    assert generator.forward_flops == tuple(BATCH * flops for flops in GENERATOR)
    assert discriminator.forward_flops == tuple(BATCH * flops for flops in DISCRIMINATOR)


def test_backward_is_a_product_for_the_weights_and_one_for_the_input(
    costs: tuple[BlockCosts, BlockCosts],
) -> None:
    for cost, forward in zip(costs, (GENERATOR, DISCRIMINATOR), strict=True):
        assert cost.backward_flops == tuple(2 * BATCH * flops for flops in forward)


def test_outputs_and_parameters(costs: tuple[BlockCosts, BlockCosts]) -> None:
    generator, discriminator = costs
    assert generator.output_shapes == ((256, 7, 7), (128, 14, 14), (128, 14, 14), (64, 28, 28), (1, 28, 28))
    assert discriminator.output_elements == tuple(BATCH * n for n in (64 * 196, 128 * 49, 128 * 49, 256 * 9, 1))
    assert discriminator.parameter_bytes[4] == 4 * 2305, "2304 weights and a bias"
    assert generator.parameter_bytes[2] == 4 * (9 * 128 * 128 + 3 * 128), "a bias, a scale and a shift a channel"
