"""A body's blocks with their optimizers, and what a copy of them takes along."""

from __future__ import annotations

import math

import torch
from torch import nn

from raygan.config.schema import TrainingConfig
from raygan.split.trunk import Trunk, joint_norm


def linear(weight: float) -> nn.Linear:
    layer = nn.Linear(1, 1, bias=False)
    nn.init.constant_(layer.weight, weight)
    return layer


def push(trunk: Trunk, gradient: float) -> float:
    """One update by this gradient; where the weight is then."""
    layer = trunk.blocks["generator"][2]
    assert isinstance(layer, nn.Linear)
    layer.weight.grad = torch.full((1, 1), gradient)
    norm = trunk.update("generator")
    assert norm is not None
    assert norm.item() == abs(gradient)
    return layer.weight.item()


def test_a_copy_goes_its_own_way_from_where_its_moments_are() -> None:
    """Adam by hand, lr 0.1, betas (0.5, 0.75). Gradient 2: the moments are 1 and 1, unbiased 2 and 4, a step of -0.1.
    Then gradient -1: the first moment is 0.5 * 1 + 0.5 * -1 = 0, no step; without moments it would be one of 0.1."""
    training = TrainingConfig(lr=0.1, betas=(0.5, 0.75))
    trunk = Trunk({"generator": {2: linear(1.0)}, "discriminator": {}}, training)
    assert math.isclose(push(trunk, 2.0), 0.9, abs_tol=1e-6)
    other = trunk.copy()
    assert math.isclose(push(other, -1.0), 0.9, abs_tol=1e-6)
    first = trunk.blocks["generator"][2]
    assert isinstance(first, nn.Linear)
    assert math.isclose(first.weight.item(), 0.9, abs_tol=1e-6)
    assert push(trunk, 2.0) < 0.85
    assert trunk.update("discriminator") is None, "there is nothing to train"


def test_norms_of_several_trunks_are_one() -> None:
    assert joint_norm([torch.tensor(3.0), torch.tensor(4.0)]).item() == 5.0
    assert joint_norm([torch.tensor(0.1)]).item() == torch.tensor(0.1).item()
