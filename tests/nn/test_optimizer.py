from __future__ import annotations

import subprocess
import sys

import torch
from torch import Tensor

from raygan.nn.optimizer import FusedAdam


def _parameters() -> list[Tensor]:
    draw = torch.Generator().manual_seed(3)
    shapes = [(17, 5), (4,), (2, 3, 3, 3), (6,)]
    return [torch.randn(shape, generator=draw).requires_grad_() for shape in shapes]


def test_parameters_and_moments_are_torchs_to_the_last_bit_also_where_rates_change_and_gradients_lack() -> None:
    mine, theirs = _parameters(), _parameters()
    ours = FusedAdam(mine, 3e-3, (0.5, 0.99))
    torchs = torch.optim.Adam(theirs, lr=3e-3, betas=(0.5, 0.99), fused=True)
    draw = torch.Generator().manual_seed(4)
    for step in range(5):
        gradients = [torch.randn(x.shape, generator=draw) if (step + n) % 3 else None for n, x in enumerate(mine)]
        for optimizer, parameters in ((ours, mine), (torchs, theirs)):
            optimizer.param_groups[0]["lr"] = 3e-3 / (step + 1)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = None if gradient is None else gradient.clone()
            optimizer.step()
    for own, other in zip(mine, theirs, strict=True):
        assert torch.equal(own, other)
        moments, expected = ours.state[own], torchs.state[other]
        assert moments.keys() == expected.keys()
        assert all(torch.equal(moments[name], expected[name]) for name in expected)
        assert moments["step"].dtype == expected["step"].dtype


def test_an_actor_that_trains_imports_no_compiler() -> None:
    check = """
import sys, torch
from raygan.nn.network import adam
layer = torch.nn.Linear(2, 1)
optimizer = adam([layer], 1e-3, (0.5, 0.9))
layer(torch.ones(1, 2)).sum().backward()
optimizer.step()
optimizer.zero_grad()
sys.exit('torch._dynamo' in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0


def test_a_gradient_that_lies_otherwise_in_memory_counts_for_its_own_weights() -> None:
    """The kernel goes through weights and gradients as they lie there."""
    weights, gradient = torch.randn(4, 3, 2, 2), torch.randn(4, 3, 2, 2)
    found = []
    for layout in (torch.contiguous_format, torch.channels_last):
        parameter = weights.clone(memory_format=layout).requires_grad_()
        optimizer = FusedAdam([parameter], 1e-2, (0.5, 0.9))
        parameter.grad = gradient.clone()
        optimizer.step()
        found.append(parameter.detach())
    assert torch.equal(*found)
