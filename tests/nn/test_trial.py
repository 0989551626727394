"""Networks of the user's own are tried block by block; each mistake is one line that names the block."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from raygan.errors import ConfigError
from raygan.nn.blocks import Networks, paper_networks, takes_labels
from raygan.nn.network import build_networks
from raygan.nn.spec import NetworkSpec
from raygan.nn.trial import try_in_parts, try_networks

SPEC = NetworkSpec(12, 1, 4, 0.05)
OWN = ("model.networks", "mine:f")
Change = Callable[[Tensor], object]


class Changed(nn.Module):
    """A block, and what becomes of its output."""

    def __init__(self, block: nn.Module, change: Change) -> None:
        super().__init__()
        self.block, self.change, self.takes_labels = block, change, takes_labels(block)

    def forward(self, *inputs: Tensor) -> object:
        return self.change(self.block(*inputs))


def raises(x: Tensor) -> object:
    raise ValueError("two\nlines")


def leaves(x: Tensor) -> object:
    raise SystemExit(0)


class NoBackward(torch.autograd.Function):
    """Forward alone."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(ctx: object, *gradients: Tensor) -> Tensor:
        raise RuntimeError("no way back")


@pytest.mark.parametrize(
    ("network", "index", "change", "words"),
    [
        ("generator", 1, raises, r"block 1 of the generator failed with ValueError: two lines \(.*test_trial.py, line"),
        ("discriminator", 3, leaves, r"block 3 of the discriminator failed with SystemExit: 0 \(.*test_trial.py"),
        ("generator", 2, NoBackward.apply, "block 2 of the generator failed in its backward pass with .*no way back"),
        ("generator", 0, lambda x: (x, 1), "block 0 of the generator returned a tuple; return one tensor"),
        ("generator", 4, Tensor.double, "returned torch.float64; return torch.float32"),
        ("generator", 1, Tensor.detach, "block 1 of the generator passes no gradient on"),
        ("discriminator", 0, lambda x: x / 0, "block 0 of the discriminator returned numbers that are not finite"),
        ("generator", 3, lambda x: x[:1], r"returned the shape \(1, .*\) for a minibatch of 4; keep the first axis"),
        ("discriminator", 4, Tensor.mean, r"returned the shape \(\) for a minibatch of 4"),
        ("generator", 4, lambda x: 5 * x, "the generator returns pixels from -.* to .*; keep them within"),
        (
            "generator",
            4,
            lambda x: x[..., :8],
            r"images of the shape \(4, 1, 12, 8\), where \(4, 1, 12, 12\) is needed",
        ),
        ("discriminator", 4, lambda x: x[:, None], r"logits of the shape \(4, 1\) for 4 images; return one for each"),
    ],
)
def test_a_block_that_cannot_be_trained(network: str, index: int, change: Change, words: str) -> None:
    networks = paper_networks(SPEC)
    blocks = getattr(networks, network)
    blocks[index] = Changed(blocks[index], change)
    with pytest.raises(ConfigError, match=f"^model.networks: mine:f: .*{words}"):
        try_networks(networks, SPEC, OWN, 8)


def test_a_generator_that_cannot_be_evaluated() -> None:
    class OnlyTrains(nn.Identity):
        def forward(self, x: Tensor) -> Tensor:
            assert self.training, "not in training"
            return super().forward(x * 1)

    networks = paper_networks(SPEC)
    networks.generator.insert(2, OnlyTrains())
    with pytest.raises(ConfigError, match="failed in evaluation mode with AssertionError: not in training"):
        try_networks(networks, SPEC, OWN, 8)


def test_the_papers_networks_pass_and_no_random_number_is_used_up() -> None:
    networks, state = paper_networks(SPEC), torch.get_rng_state()
    try_networks(networks, SPEC, OWN, 2)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(block.training for block in networks.blocks.values())


def no_list(spec: NetworkSpec) -> Networks:
    return Networks([print], [])  # type: ignore[list-item]


def odd_anchor(spec: NetworkSpec) -> Networks:
    return Networks(*(paper_networks(spec).generator for _ in range(2)), generator_anchor=2.5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "words"),
    [("no_list", "its generator is no list of modules"), ("odd_anchor", "generator of 5 blocks with anchor 2.5")],
)
def test_networks_of_another_form(name: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        build_networks(SPEC, f"{__name__}:{name}", 0)


def test_blocks_whose_rows_may_lie_apart() -> None:
    """As replicas of the body need it; BatchNorm is theirs to see to."""
    try_in_parts(paper_networks(SPEC), SPEC, OWN)
    try_in_parts(
        build_networks(NetworkSpec(16, 1, 4, 0.05, networks="residual", spectral_norm=True), None, 0),
        NetworkSpec(16, 1, 4, 0.05),
        OWN,
    )


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda x: x - x.mean(0),
            "ray.body_replicas: mine:f: block 2 of the discriminator mixes the rows of a minibatch",
        ),
        (
            lambda x: x.view(len(x), -1).view(x.shape),
            r"block 2 .* failed for a batch without rows \(ray.body_replicas\)",
        ),
    ],
    ids=["mixes", "empty"],
)
def test_a_block_that_needs_the_whole_minibatch(change: Change, words: str) -> None:
    networks = paper_networks(SPEC)
    networks.discriminator[2] = Changed(networks.discriminator[2], change)
    with pytest.raises(ConfigError, match=words):
        try_in_parts(networks, SPEC, OWN)
