"""DP-SGD on D: its update by hand, image by image; what it tells; what Opacus cannot take; and what a canary shows."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from scipy.stats import beta
from torch import Tensor, nn
from torch.nn.functional import softplus

from raygan.config.privacy import DpConfig
from raygan.config.schema import TrainingConfig
from raygan.errors import ConfigError
from raygan.nn.blocks import Networks, with_labels
from raygan.nn.group_norm import with_group_norm
from raygan.nn.network import build_networks, run_blocks
from raygan.nn.private import PrivateDiscriminator, try_private
from raygan.nn.spec import NetworkSpec
from raygan.nn.trained import Noise
from raygan.parties.budget import epsilon_of
from raygan.wire.codec import CPU

SPEC = NetworkSpec(12, 1, 4, 0.0625, networks="projection", group_norm=True)
TRAINING = TrainingConfig(batch_size=8, lr=1e-3)
SILENT = 1e-9
"""A noise multiplier of next to nothing."""


def private(noise: float = SILENT, clip: float = 0.05) -> PrivateDiscriminator:
    blocks = build_networks(SPEC, None, 0).discriminator
    return PrivateDiscriminator(blocks, 2, TRAINING, CPU, DpConfig(noise_multiplier=noise, clip=clip))


def images_of(count: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return torch.rand(count, 1, 12, 12, generator=draw) * 2 - 1, torch.arange(count) % 4


def gradients(discriminator: PrivateDiscriminator, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """What its optimizer is about to step along."""
    found: list[Tensor] = []
    optimizer = discriminator._optimizer
    monkeypatch.setattr(
        optimizer, "step", lambda: found.extend(p.grad.clone() for g in optimizer.param_groups for p in g["params"])
    )
    return found


def clipped_by_hand(blocks: list[nn.Module], images: Tensor, labels: Tensor, sign: int, clip: float) -> list[Tensor]:
    """Sum of each image's own gradient, by torch's autograd alone, scaled down to the clipping norm."""
    parameters = [p for block in blocks for p in block.parameters()]
    total = [torch.zeros_like(p) for p in parameters]
    for image, label in zip(images, labels, strict=True):
        loss = softplus(sign * run_blocks(blocks, image[None], label[None])).sum()
        own = torch.autograd.grad(loss, parameters)
        norm = torch.cat([g.flatten() for g in own]).norm()
        for part, g in zip(total, own, strict=True):
            part += g * min(1.0, clip / norm.item())
    return total


@pytest.mark.parametrize("reals", [5, 0, 70])
def test_an_update_is_the_clipped_sums_over_the_expected_batch(monkeypatch: pytest.MonkeyPatch, reals: int) -> None:
    """70 images are two parts in memory; of ten fakes, the eight that count."""
    mine = private()
    blocks = copy.deepcopy(list(mine.blocks.values()))
    found = gradients(mine, monkeypatch)
    (fakes, fake_labels), (images, labels) = images_of(10, 1), images_of(reals)
    mine.learn(fakes, fake_labels, images, labels, Noise(3, 8))
    of_reals = clipped_by_hand(blocks, images, labels, -1, 0.05)
    of_fakes = clipped_by_hand(blocks, fakes[:8], fake_labels[:8], 1, 0.05)
    for got, real, fake in zip(found, of_reals, of_fakes, strict=True):
        torch.testing.assert_close(got, (real + fake) / 8, rtol=1e-3, atol=1e-6)


def test_one_image_more_moves_the_sum_by_the_clipping_norm_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sensitivity, of an image with a gradient that is far longer."""
    sums = []
    for count in (5, 6):
        mine = private()
        found = gradients(mine, monkeypatch)
        images, labels = images_of(count)
        images[5:] *= 100
        mine.learn(*images_of(8, 1), images, labels, Noise(3, 1))
        sums.append(torch.cat([g.flatten() for g in found]))
    assert (sums[1] - sums[0]).norm() == pytest.approx(0.05, rel=1e-3)


def test_the_noise_is_gaussian_of_sigma_times_the_clipping_norm_over_the_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    found = []
    for noise in (SILENT, 4.0):
        mine = private(noise, clip=0.5)
        got = gradients(mine, monkeypatch)
        mine.learn(*images_of(8, 1), *images_of(8), Noise(3, 8))
        found.append(torch.cat([g.flatten() for g in got]))
    drawn = (found[1] - found[0]).numpy() / (4.0 * 0.5 / 8)
    assert len(drawn) > 2000
    assert drawn.mean() == pytest.approx(0, abs=4 / math.sqrt(len(drawn)))
    assert drawn.std() == pytest.approx(1, abs=4 / math.sqrt(2 * len(drawn)))
    assert np.abs(drawn).max() > 2.5


def test_an_update_tells_nothing_of_the_reals() -> None:
    """Loss, statistics and counts are the same whatever the real images are; D's weights are not."""
    told, weights = [], []
    for count in (8, 3):
        mine = private()
        update = mine.learn(*images_of(8, 1), *images_of(count), Noise(3, 8))
        norm = float(update.gradient_norm)
        told.append((float(update.loss), float(update.fakes), update.statistics(*map(float, update.scalars[1:]))))
        told[-1][2].pop("discriminator_gradient_norm")  # of the noised gradient, as the weights
        weights.append(norm)
    assert told[0] == told[1]
    assert set(told[0][2]) == {"discriminator_fake"}
    assert weights[0] != weights[1]


def test_gradients_for_the_generator_pass_as_before() -> None:
    """Opacus' hooks are silent where G learns: what reaches the fakes is autograd's."""
    mine = private()
    blocks = copy.deepcopy(list(mine.blocks.values()))
    fakes, labels = images_of(4, 1)
    mine.learn(fakes, labels, *images_of(4), Noise(0, 4))
    for old, new in zip(blocks, mine.blocks.values(), strict=True):
        old.load_state_dict(new.state_dict())
    ours, plain = fakes.clone().requires_grad_(), fakes.clone().requires_grad_()
    mine.generator_loss(ours, labels).backward()
    softplus(-run_blocks(blocks, plain, labels)).mean().backward()
    torch.testing.assert_close(ours.grad, plain.grad)


def test_batch_norm_gives_way_to_group_norm_in_d_alone() -> None:
    networks = build_networks(SPEC, None, 0)
    kinds = [type(layer) for block in networks.discriminator for layer in block.modules()]
    assert kinds.count(nn.BatchNorm2d) == 0
    assert kinds.count(nn.GroupNorm) == 4
    assert any(isinstance(layer, nn.BatchNorm2d) for block in networks.generator for layer in block.modules())
    norm = with_group_norm(nn.BatchNorm2d(12))
    assert (norm.num_groups, norm.num_channels) == (4, 12)


class Mixing(nn.Module):
    """Takes the minibatch's mean off."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y - y.mean(0)


class Counting(nn.Module):
    """Keeps a mean of what it has seen."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3)
        self.register_buffer("seen", torch.zeros(2))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        self.seen.copy_(y.detach().mean((0, 2, 3)))
        return y


class Idle(nn.Module):
    """Has weights that it does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.other = nn.Conv2d(1, 2, 3), nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


@pytest.mark.parametrize(
    ("block", "words"),
    [
        (Mixing, "what the discriminator makes of an image depends on the others of its minibatch"),
        (Counting, "a buffer of the discriminator changes with the images it sees"),
        (Idle, r"cannot be trained image by image \(ValueError: Per sample gradient is not initialized"),
    ],
)
def test_a_discriminator_that_mixes_images_is_refused(block: type[nn.Module], words: str) -> None:
    blocks = [
        with_labels(Labelled(block())),
        nn.Conv2d(2, 2, 3),
        nn.Sequential(nn.Flatten(), nn.LazyLinear(1), nn.Flatten(0)),
    ]
    x = torch.zeros(2, 1, 12, 12)
    run_blocks(blocks, x, torch.zeros(2, dtype=torch.int64))
    with pytest.raises(ConfigError, match=f"privacy.dp: .*{words}"):
        try_private(Networks([], blocks), SPEC, TRAINING, DpConfig())


class Labelled(nn.Module):
    """Calls a block without the labels."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.block = block

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return y


def test_the_networks_that_ship_can_be_private() -> None:
    for name in ("paper", "projection", "plane_projection", "residual"):
        spec = NetworkSpec(12, 1, 4, 0.0625, networks=name, group_norm=True)
        try_private(build_networks(spec, None, 0), spec, TRAINING, DpConfig())


CANARIES = 40
"""Trainings with the canary, and as many without."""
UPDATES, RATE, SIGMA = 3, 0.75, 6.0
"""Of a training; the canary is in each minibatch with that chance, as Poisson sampling has it."""


def lower_bound(inside: np.ndarray, outside: np.ndarray, delta: float) -> float:
    """Of epsilon, with 95% confidence: by the best threshold of half of the runs, on the other half. P(guess in | in) <=
    e^epsilon P(guess in | out) + delta, with the limits of Clopper and Pearson."""
    half = len(inside) // 2
    best = max(
        np.concatenate([inside[:half], outside[:half]]),
        key=lambda t: (inside[:half] > t).mean() - (outside[:half] > t).mean(),
    )
    hits, alarms, count = int((inside[half:] > best).sum()), int((outside[half:] > best).sum()), len(inside) - half
    least = beta.ppf(0.025, hits, count - hits + 1) if hits else 0.0
    most = beta.ppf(0.975, alarms + 1, count - alarms)
    return math.log(max(least - delta, 1e-12) / most)


def scores_of_trainings(monkeypatch: pytest.MonkeyPatch, noise: float) -> dict[int, list[float]]:
    """0 without the canary, 1 with it -> of each training, how far all of its updates go along the canary's own
    gradients, each at the weights that D has by then: all that counts for who sees every update and knows all else."""
    images, labels = images_of(1)
    mine = private(noise, clip=1.0)
    start, learnt = mine.states(), list[Tensor]()
    step = mine._optimizer.step

    def seen(*_: object) -> None:
        learnt.append(torch.cat([p.grad.flatten() for g in mine._optimizer.param_groups for p in g["params"]]))
        step()

    monkeypatch.setattr(mine._optimizer, "step", seen)
    scores: dict[int, list[float]] = {0: [], 1: []}
    for number in range(2 * CANARIES):
        mine.take_over(start)
        there, drawn, score = number % 2, np.random.default_rng(number).random(UPDATES) < RATE, 0.0
        for update in range(UPDATES):
            blocks = list(mine.blocks.values())
            direction = torch.cat([g.flatten() for g in clipped_by_hand(blocks, images, labels, -1, 1.0)])
            count = there * int(drawn[update])
            mine.learn(*images_of(1, 1), images[:count], labels[:count], Noise(UPDATES * number + update, 1))
            score += float(learnt[-1] @ direction)
        scores[there].append(score)
    return scores


@pytest.mark.parametrize(("noise", "is_private"), [(SIGMA, True), (SIGMA / 100, False)])
def test_a_canary_cannot_be_told_better_than_epsilon_allows(
    monkeypatch: pytest.MonkeyPatch, noise: float, is_private: bool
) -> None:
    """Trainings of several updates with an image or without it, told apart by the strongest observer. Where a
    hundredth of the noise is added that the accountant is told of, the bound is beyond its epsilon."""
    scores = scores_of_trainings(monkeypatch, noise)
    claimed, delta = epsilon_of(SIGMA, RATE, UPDATES, 1e-5), 1e-5
    bound = lower_bound(np.array(scores[1]), np.array(scores[0]), delta)
    assert (bound < claimed) == is_private
