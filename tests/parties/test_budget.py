"""The accountant: against Opacus' own, against the Gaussian mechanism's closed form, and where a budget ends."""

from __future__ import annotations

import math

import numpy as np
import pytest
from opacus.accountants import RDPAccountant
from scipy.optimize import brentq
from scipy.stats import norm

from raygan.config.loading import make_config
from raygan.config.privacy import DpConfig
from raygan.parties.budget import Budget, allowed_updates, epsilon_of
from raygan.parties.private_owner import PrivateDataOwner
from raygan.run.plan import make_plan


@pytest.mark.parametrize(("noise", "rate", "updates"), [(1.0, 64 / 3000, 1000), (0.7, 32 / 833, 156), (2.0, 1.0, 10)])
def test_epsilon_is_that_of_opacus_accountant(noise: float, rate: float, updates: int) -> None:
    accountant = RDPAccountant()
    accountant.history = [(noise, rate, updates)]
    assert epsilon_of(noise, rate, updates, 1e-5) == pytest.approx(accountant.get_epsilon(1e-5), rel=1e-9)


def exact_epsilon(mu: float, delta: float) -> float:
    """Of the Gaussian mechanism, sensitivity mu times its noise (Balle and Wang 2018, arXiv 1805.06530, theorem 8)."""

    def excess(epsilon: float) -> float:
        first = norm.cdf(mu / 2 - epsilon / mu)
        return float(first - math.exp(epsilon) * norm.cdf(-mu / 2 - epsilon / mu) - delta)

    return float(brentq(excess, 1e-6, 100))


@pytest.mark.parametrize(("noise", "updates"), [(2.0, 1), (4.0, 16), (10.0, 4)])
def test_without_sampling_it_bounds_the_gaussian_mechanism(noise: float, updates: int) -> None:
    """T updates with all images are one Gaussian mechanism of sqrt(T) times the sensitivity; the bound is within 10%."""
    exact = exact_epsilon(math.sqrt(updates) / noise, 1e-5)
    assert exact < epsilon_of(noise, 1.0, updates, 1e-5) < 1.1 * exact


def test_by_hand_without_sampling() -> None:
    """RDP of order a is a / (2 sigma^2); the conversion as the module's docstring has it, over Opacus' orders."""
    orders, sigma, delta = np.array(RDPAccountant.DEFAULT_ALPHAS), 2.0, 1e-5
    rdp = 3 * orders / (2 * sigma**2)
    epsilons = rdp + np.log1p(-1 / orders) - (np.log(delta) + np.log(orders)) / (orders - 1)
    assert epsilon_of(sigma, 1.0, 3, delta) == pytest.approx(epsilons.min(), rel=1e-9)


def test_a_budget_ends_at_the_last_update_that_fits() -> None:
    dp = DpConfig(epsilon=3.0, noise_multiplier=1.0)
    last = allowed_updates(dp, 0.02)
    assert epsilon_of(1.0, 0.02, last, 1e-5) <= 3.0 < epsilon_of(1.0, 0.02, last + 1, 1e-5)
    budget = Budget(dp, 0.02)
    budget.updates = last - 1
    assert not budget.is_spent
    budget.spend()
    assert budget.is_spent
    assert budget.epsilon <= 3.0
    with pytest.raises(AssertionError, match="without budget"):
        budget.spend()
    assert allowed_updates(DpConfig(epsilon=0.1, noise_multiplier=0.5), 1.0) == 0


def owner_of(two_clients: dict, seed: int = 5, **dp: object) -> PrivateDataOwner:
    private = {"algorithm": "local", "seed": seed, "privacy": {"dp": {"epsilon": 1e6, "seeded": True, **dp}}}
    settings = {key: value for key, value in two_clients.items() if key not in ("clusters", "cuts")} | private
    plan = make_plan(make_config(settings))
    config, data = plan.config, plan.layout.clients[1].data
    assert config.privacy.dp is not None
    return PrivateDataOwner(1, data, config.training, seed, 8, dp=config.privacy.dp)


def test_minibatches_are_poisson_samples(two_clients: dict) -> None:
    """Each image by itself with a chance of 8 / n, over many rounds; so sizes vary."""
    owner = owner_of(two_clients)
    held = owner.num_held
    rate, sizes, seen = 8 / held, [], np.zeros(held)
    for number in range(60):
        owner.begin_round(number)
        assert len(owner._batches) == held // 8
        for batch in owner._batches:
            assert len(set(batch.tolist())) == len(batch)
            sizes.append(len(batch))
            seen[batch] += 1
    assert np.mean(sizes) == pytest.approx(8, abs=4 * math.sqrt(held * rate * (1 - rate) / len(sizes)))
    assert np.var(sizes) == pytest.approx(held * rate * (1 - rate), rel=0.5)
    assert seen.min() > 0


def test_a_minibatch_is_counted_and_has_as_many_fakes_as_images_are_expected(two_clients: dict) -> None:
    owner = owner_of(two_clients)
    owner.begin_round(0)
    owner._batches[1] = np.array([], dtype=np.int64)
    batch, empty = owner.minibatch(0), owner.minibatch(1)
    assert len(empty.labels) == len(empty.images) == 0
    for one in (batch, empty):
        assert len(one.z) == len(one.fake_labels) == 8
        assert one.noise is not None
        assert one.noise.expected == 8
    assert batch.noise != empty.noise
    assert (owner.spending.updates, owner.spending.epsilon) == (2, pytest.approx(owner._budget.epsilon))


def test_labels_of_fakes_are_of_all_classes_whatever_it_holds(two_clients: dict) -> None:
    """A client of one class alone asks for fakes of every class."""
    owner = owner_of(two_clients)
    assert owner._data is not None
    owner._data.labels[:] = 0
    owner.begin_round(0)
    drawn = {int(label) for step in range(len(owner._batches)) for label in owner.minibatch(step).fake_labels}
    assert drawn == set(range(owner._num_classes))


def test_without_seeds_nothing_follows_from_the_run(two_clients: dict) -> None:
    owners = [owner_of(two_clients, seeded=False) for _ in range(2)]
    for owner in owners:
        owner.begin_round(0)
    first, second = ([batch.tolist() for batch in owner._batches] for owner in owners)
    assert first != second
    assert owners[0].minibatch(0).noise != owners[1].minibatch(0).noise
    seeded = [owner_of(two_clients) for _ in range(2)]
    for owner in seeded:
        owner.begin_round(0)
    assert seeded[0].minibatch(0).noise == seeded[1].minibatch(0).noise


def test_who_has_spent_its_budget_takes_no_part(two_clients: dict) -> None:
    owner = owner_of(two_clients, epsilon=12.0, noise_multiplier=1.0)
    allowed = owner.spending.allowed
    assert allowed > 1
    owner.begin_round(0)
    for step in range(allowed):
        assert owner.takes_part(step)
        owner.minibatch(step)
    assert not owner.takes_part(allowed)
    assert owner.spending.is_spent
    later = owner_of(two_clients, epsilon=12.0, noise_multiplier=1.0)
    later.restore(owner.arrays())
    later.begin_round(1)
    assert not later.takes_part(0)
    later.account(3)
    assert later.spending.updates == allowed, "it never forgets"
