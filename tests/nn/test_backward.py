from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from raygan.nn.backward import run_backward


def passed() -> tuple[nn.Module, list[Tensor], list[Tensor]]:
    """A network, leaves, and outputs that share it: two of features, one number."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.Tanh())
    leaves = [torch.randn(4, 3, 8, 8).requires_grad_() for _ in range(2)]
    features = [network(leaf) for leaf in leaves]
    return network, leaves, [*features, features[0].square().mean()]


def test_gradients_are_those_of_torch_to_the_last_bit() -> None:
    found, expected = passed(), passed()
    gradients = [torch.randn_like(x) for x in found[2][:2]]
    run_backward(found[2], [*gradients, None])
    torch.autograd.backward(expected[2], [*gradients, None])
    for mine, theirs in zip(
        (*found[0].parameters(), *found[1]), (*expected[0].parameters(), *expected[1]), strict=True
    ):
        assert mine.grad is not None
        assert torch.equal(mine.grad, theirs.grad)


def test_a_gradient_of_another_shape_is_refused() -> None:
    """Also one that could be added up to the output's."""
    with pytest.raises(ValueError, match=r"of shape \(3, 4\) for an output of \(4,\)"):
        run_backward([torch.zeros(4, requires_grad=True) * 2], [torch.ones(3, 4)])
