"""The losses by hand: every number here follows from sigmoid(ln(p / (1 - p))) = p."""

from __future__ import annotations

from math import log

import pytest
import torch
from torch import Tensor

from raygan.nn.losses import gan_loss, gradient_penalty
from raygan.nn.schedules import constant, cosine, linear

BCE = gan_loss("bce")
discriminator_loss, generator_loss = BCE.discriminator, BCE.generator


def logits(*probabilities: float) -> Tensor:
    """Logits (B,) whose sigmoids are these, in float64."""
    return torch.logit(torch.tensor(probabilities, dtype=torch.float64)).requires_grad_()


def test_an_undecided_discriminator() -> None:
    undecided = torch.zeros(3)
    assert discriminator_loss(undecided, undecided).item() == pytest.approx(2 * log(2))
    assert generator_loss(undecided).item() == pytest.approx(log(2))


def test_a_discriminator_that_is_mostly_right() -> None:
    # It calls the fake real with 1/4: -ln(1 - 1/4) = ln 4/3. The real one with 7/8: -ln 7/8 = ln 8/7.
    fake, real = logits(1 / 4), logits(7 / 8)
    assert discriminator_loss(fake, real).item() == pytest.approx(log(4 / 3) + log(8 / 7))
    assert generator_loss(fake).item() == pytest.approx(log(4)), "-ln 1/4: far from fooling it"


def test_a_discriminator_that_is_fooled() -> None:
    # It calls the fake real with 4/5: -ln(1 - 4/5) = ln 5. The real one with 1/3: -ln 1/3 = ln 3.
    fake, real = logits(4 / 5), logits(1 / 3)
    assert discriminator_loss(fake, real).item() == pytest.approx(log(15))
    assert generator_loss(fake).item() == pytest.approx(log(5 / 4))


def test_a_batch_counts_by_its_mean() -> None:
    # Fakes 1/2 and 3/4: (ln 2 + ln 4) / 2. Reals 1/2, 1/2, 1/2, 1/16: (3 ln 2 + ln 16) / 4 = 7/4 ln 2.
    fake, real = logits(1 / 2, 3 / 4), logits(1 / 2, 1 / 2, 1 / 2, 1 / 16)
    assert discriminator_loss(fake, real).item() == pytest.approx(3 / 2 * log(2) + 7 / 4 * log(2))
    # As reals: -ln 1/2 and -ln 3/4.
    assert generator_loss(fake).item() == pytest.approx((log(2) + log(4 / 3)) / 2)


def test_a_step_down_the_discriminators_loss_lowers_fakes_and_raises_reals() -> None:
    fake, real = logits(1 / 4, 1 / 2), logits(1 / 4, 1 / 2)
    torch.autograd.backward(discriminator_loss(fake, real))
    assert fake.grad is not None
    assert real.grad is not None
    assert fake.grad.tolist() == pytest.approx([1 / 8, 1 / 4]), "p / B"
    assert real.grad.tolist() == pytest.approx([-3 / 8, -1 / 4]), "-(1 - p) / B"


def test_a_step_down_the_generators_loss_raises_fakes_most_where_it_is_found_out() -> None:
    fake = logits(1 / 100, 99 / 100)
    torch.autograd.backward(generator_loss(fake))
    assert fake.grad is not None
    assert fake.grad.tolist() == pytest.approx([-0.495, -0.005]), "-(1 - p) / B: it does not saturate"


def test_the_hinge_loss() -> None:
    """Fakes at -2 and 0.5 cost 0 and 1.5, reals at 2 and 0 cost 0 and 1; G gets the mean of its fakes, turned."""
    hinge = gan_loss("hinge")
    fake, real = torch.tensor([-2.0, 0.5]), torch.tensor([2.0, 0.0])
    assert hinge.discriminator(fake, real).item() == (0 + 1.5) / 2 + (0 + 1) / 2
    assert hinge.generator(fake).item() == (2 - 0.5) / 2


def test_the_relativistic_average_loss() -> None:
    """Reals ln 3 and ln 3, fakes 0 and 0: reals are ahead by ln 3, which BCE calls real with 3/4."""
    relativistic = gan_loss("relativistic")
    fake, real = torch.zeros(2), torch.full((2,), log(3))
    assert relativistic.discriminator(fake, real).item() == pytest.approx(2 * log(4 / 3))
    assert relativistic.of_generator(fake, real).item() == pytest.approx(2 * log(4)), "G wants the contrary"


def test_the_relativistic_mean_is_over_the_others() -> None:
    """Fakes 0 and ln 9 have the mean ln 3. The reals at ln 3 are as real, so 1/2 each; from the reals' mean ln 3 the
    fakes are ln 3 down (1/4) and ln 3 up (3/4)."""
    fake, real = torch.tensor([0.0, log(9)]), torch.full((3,), log(3))
    loss = gan_loss("relativistic").discriminator(fake, real)
    assert loss.item() == pytest.approx(log(2) + (log(4 / 3) + log(4)) / 2)


def test_a_penalty_on_the_gradient_at_images() -> None:
    """logit = 3 a + b^2 of images (a, b) = (1, 2), (5, 0): gradients (3, 4) and (3, 0), (25 + 9) / 2 / 2."""
    images = torch.tensor([[1.0, 2.0], [5.0, 0.0]]).view(2, 1, 1, 2).requires_grad_()
    logits = 3 * images[:, 0, 0, 0] + images[:, 0, 0, 1] ** 2
    penalty = gradient_penalty(logits, images)
    assert penalty.item() == 8.5
    penalty.backward()
    assert images.grad is not None
    assert images.grad.flatten().tolist() == [0, 4, 0, 0], "d/db of (2 b)^2 / 4"


def test_schedules_by_hand() -> None:
    rounds = range(4)
    assert [constant(r, 4) for r in rounds] == [1, 1, 1, 1]
    assert [linear(r, 4) for r in rounds] == [1, 0.75, 0.5, 0.25]
    assert [cosine(r, 4) for r in rounds] == pytest.approx([1, (1 + 0.5**0.5) / 2, 0.5, (1 - 0.5**0.5) / 2])
