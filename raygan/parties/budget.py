"""A client's privacy budget: how many noised updates it allows, and what those that were made have spent.

Accounting is by Renyi differential privacy of the Poisson-subsampled Gaussian mechanism (Mironov, Talwar, Zhang 2019,
arXiv 1908.10530), as Opacus computes it: of T updates it is T times that of one, and

    epsilon(T) = min over orders a of T RDP(a) + log((a - 1) / a) - (log delta + log a) / (a - 1)

Neighbours are two sets of images of which one has an image more than the other.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

import numpy as np

from raygan.config.privacy import DpConfig

MOST_UPDATES = 10**9
"""Where a budget never ends."""


class Budget:
    """Of one client.

    Args:
        sample_rate: q, the chance of an image to be in an update.
    """

    def __init__(self, dp: DpConfig, sample_rate: float) -> None:
        self._dp, self._rate = dp, sample_rate
        self.updates = 0
        """Noised updates that have been made, or begun."""
        self.allowed = allowed_updates(dp, sample_rate)

    @property
    def is_spent(self) -> bool:
        """Whether one more update would be beyond the budget."""
        return self.updates >= self.allowed

    @property
    def epsilon(self) -> float:
        """What is spent, at the configured delta."""
        return epsilon_of(self._dp.noise_multiplier, self._rate, self.updates, self._dp.delta)

    def spend(self) -> None:
        """Counts an update, before it is made."""
        assert not self.is_spent, "a client without budget makes no update"
        self.updates += 1


def allowed_updates(dp: DpConfig, sample_rate: float) -> int:
    """The most updates whose epsilon is within the budget."""

    def fits(updates: int) -> bool:
        return epsilon_of(dp.noise_multiplier, sample_rate, updates, dp.delta) <= dp.epsilon

    if not fits(1):
        return 0
    few, many = 1, 2
    while fits(many) and many < MOST_UPDATES:
        few, many = many, 2 * many
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (middle, many) if fits(middle) else (few, middle)
    return few


def epsilon_of(noise_multiplier: float, sample_rate: float, updates: int, delta: float) -> float:
    """Epsilon of so many updates at a delta; 0 of none."""
    if not updates:
        return 0.0
    from opacus.accountants import RDPAccountant
    from opacus.accountants.analysis.rdp import get_privacy_spent

    orders = RDPAccountant.DEFAULT_ALPHAS
    with warnings.catch_warnings():  # of orders at their ends, where epsilon is a bound that is less tight
        warnings.simplefilter("ignore", UserWarning)
        found, _ = get_privacy_spent(orders=orders, rdp=updates * _of_one(noise_multiplier, sample_rate), delta=delta)
    return max(0.0, float(found))


@lru_cache(maxsize=256)
def _of_one(noise_multiplier: float, sample_rate: float) -> np.ndarray:
    """The Renyi divergence of one update, at each of Opacus' orders."""
    from opacus.accountants import RDPAccountant
    from opacus.accountants.analysis.rdp import compute_rdp

    orders = RDPAccountant.DEFAULT_ALPHAS
    return np.asarray(compute_rdp(q=sample_rate, noise_multiplier=noise_multiplier, steps=1, orders=orders))
