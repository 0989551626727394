"""One block of several clients at once: the numbers of the blocks one by one."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from raygan.nn.blocks import takes_labels
from raygan.nn.network import build_networks
from raygan.nn.spec import NetworkSpec
from raygan.nn.vmapped import VmappedBlock, time_block

SPEC = NetworkSpec(image_size=12, channels=1, num_classes=4, width=0.0625, latent_size=8)
BATCH = 5


def blocks_and_inputs(spec: NetworkSpec = SPEC) -> list:
    """Every block of both networks with an input."""
    torch.manual_seed(0)
    networks = build_networks(spec, None, 0)
    labels = torch.randint(4, (BATCH,))
    cases = []
    for name, first in (
        ("generator", torch.randn(BATCH, 8)),
        ("discriminator", torch.randn(BATCH, 1, spec.image_size, spec.image_size)),
    ):
        x = first
        for index, block in enumerate(getattr(networks, name)):
            inputs: tuple[Tensor, ...] = (x, labels) if takes_labels(block) else (x,)
            cases.append(pytest.param(block, inputs, id=f"{spec.networks} {name} {index}"))
            x = copy.deepcopy(block)(*inputs).detach()
    return cases


def of_clients(block: nn.Module, count: int) -> list[nn.Module]:
    """Copies with parameters of their own."""
    torch.manual_seed(1)
    copies = [copy.deepcopy(block) for _ in range(count)]
    with torch.no_grad():
        for parameter in (parameter for one in copies for parameter in one.parameters()):
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return copies


def of_one(inputs: tuple[Tensor, ...], seed: int) -> tuple[Tensor, ...]:
    torch.manual_seed(seed)
    return tuple((x + torch.randn_like(x)).requires_grad_() if x.is_floating_point() else x.roll(seed) for x in inputs)


OTHERS = [
    *blocks_and_inputs(replace(SPEC, networks="projection"))[-1:],
    *blocks_and_inputs(replace(SPEC, networks="residual", image_size=16)),
]
"""Of other networks, what the paper's do not have."""


@pytest.mark.parametrize(("block", "inputs"), blocks_and_inputs() + OTHERS)
def test_outputs_gradients_and_buffers_are_those_of_the_blocks_one_by_one(block, inputs) -> None:
    alone, together = of_clients(block, 3), of_clients(block, 3)
    mine, theirs = ([of_one(inputs, seed) for seed in range(3)] for _ in range(2))
    expected = [one(*x) for one, x in zip(alone, mine, strict=True)]
    found = VmappedBlock(together)(range(3), theirs)
    gradients = [torch.randn_like(x) for x in expected]
    torch.autograd.backward(expected, gradients)
    torch.autograd.backward(found, gradients)
    for a, b in zip(expected, found, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-4, atol=1e-5)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(b[0].grad, a[0].grad, rtol=1e-4, atol=1e-5)
    for a, b in zip(alone, together, strict=True):
        for one, other in zip(a.parameters(), b.parameters(), strict=True):
            torch.testing.assert_close(other.grad, one.grad, rtol=1e-4, atol=1e-4)
        for one, other in zip(a.buffers(), b.buffers(), strict=True):
            torch.testing.assert_close(other, one, rtol=1e-5, atol=1e-6)


def test_clients_that_take_no_part_are_left_alone() -> None:
    block = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    clients = of_clients(block, 3)
    before = copy.deepcopy(clients[1].state_dict())
    outputs = VmappedBlock(clients)([2, 0], [(torch.randn(4, 3),), (torch.randn(4, 3),)])
    torch.autograd.backward(outputs, [torch.randn(4, 2)] * 2)
    assert all(torch.equal(before[name], x) for name, x in clients[1].state_dict().items())
    assert all(parameter.grad is None for parameter in clients[1].parameters())
    assert [int(client[1].num_batches_tracked) for client in clients] == [1, 0, 1]


def test_frozen_weights_get_no_gradients() -> None:
    clients = of_clients(nn.Linear(3, 2), 2)
    for parameter in (parameter for client in clients for parameter in client.parameters()):
        parameter.requires_grad_(False)
    x = torch.randn(4, 3, requires_grad=True)
    torch.autograd.backward(VmappedBlock(clients)([0, 1], [(x,), (x,)]), [torch.ones(4, 2)] * 2)
    assert x.grad is not None
    assert clients[0].weight.grad is None


class Branching(nn.Module):
    """Looks at its numbers, which vmap does not allow."""

    def forward(self, x: Tensor) -> Tensor:
        return x if x.sum() > 0 else -x


class Replacing(nn.Module):
    """Puts another tensor into the place of its buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.seen = self.seen + 1
        return x * 2


class Averaging(nn.Module):
    """Puts a tensor that is nearly the same into the place of its buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("seen", torch.ones(()))

    def forward(self, x: Tensor) -> Tensor:
        self.seen = 0.999 * self.seen + 0.001 * x.detach().abs().mean()
        return x * 2


@pytest.mark.parametrize(
    ("block", "inputs"), blocks_and_inputs(replace(SPEC, networks="residual", image_size=16, spectral_norm=True))[-4:]
)
def test_power_iterations_of_spectral_norm_are_each_clients_own(block, inputs) -> None:
    """They write into their buffers, for which vmap has no rule: such a block is found, and computed client by client."""
    assert time_block(block, 3, inputs).vmapped_s is None


@pytest.mark.parametrize(
    "block", [nn.Dropout(0.5), Branching(), Replacing(), Averaging()], ids=lambda b: type(b).__name__
)
def test_blocks_that_cannot_be_vmapped_are_found(block: nn.Module) -> None:
    taken = time_block(block, 2, (torch.randn(8, 6),))
    assert taken.vmapped_s is None
    assert taken.one_by_one_s > 0


class Masking(nn.Module):
    """Has a buffer of booleans."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mask", torch.tensor([True, False, True]), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return x * self.mask


@pytest.mark.parametrize(
    "block", [Masking(), nn.LeakyReLU(0.2, inplace=True)], ids=["boolean buffer", "changes its input"]
)
def test_unusual_blocks_can_be_vmapped(block: nn.Module) -> None:
    assert time_block(block, 2, (torch.randn(4, 3),)).vmapped_s is not None


def test_outputs_do_not_share_memory() -> None:
    outputs = VmappedBlock(of_clients(nn.Conv2d(1, 2, 3), 3))(range(3), [(torch.randn(4, 1, 6, 6),)] * 3)
    assert all(x.is_contiguous() and x.untyped_storage().nbytes() == x.nbytes for x in outputs)


def test_measuring_leaves_block_and_random_numbers_alone() -> None:
    block = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5))
    before, random_state = copy.deepcopy(block.state_dict()), torch.get_rng_state()
    time_block(block, 2, (torch.randn(4, 1, 6, 6, generator=torch.Generator()),))
    assert all(torch.equal(before[name], x) for name, x in block.state_dict().items())
    assert torch.equal(torch.get_rng_state(), random_state)


def test_a_measurement_has_both_times() -> None:
    taken = time_block(nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)), 3, (torch.randn(4, 1, 6, 6),))
    assert taken.one_by_one_s > 0
    assert taken.vmapped_s is not None
    assert taken.vmapped_s > 0
