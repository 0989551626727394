"""The losses by hand: every number here follows from sigmoid(ln(p / (1 - p))) = p."""

from __future__ import annotations

from math import log

import pytest
import torch
from torch import Tensor

from raygan.nn.losses import gan_loss

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
