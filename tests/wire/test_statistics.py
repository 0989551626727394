"""Statistics merge: however the clients are dealt to parts, the whole is the same."""

from __future__ import annotations

import itertools
import math

from raygan.wire.statistics import Mean, merged

CLIENTS = [
    {"discriminator_real": Mean(3.0, 4), "generator_gradient_norm": Mean(2.0, 1)},
    {"discriminator_real": Mean(1.0, 8)},
    {"discriminator_real": Mean(0.5, 2), "generator_gradient_norm": Mean(5.0, 1)},
]


def test_a_mean_is_over_all_that_was_counted() -> None:
    whole = merged(CLIENTS)
    assert whole["discriminator_real"].value == 4.5 / 14, "not the mean of the means"
    assert whole["generator_gradient_norm"].value == 3.5
    assert math.isnan(Mean(0.0, 0).value)


def test_merged_in_parts_and_in_any_order_is_merged_at_once() -> None:
    whole = merged(CLIENTS)
    for order in itertools.permutations(CLIENTS):
        for split in range(4):
            assert merged([merged(order[:split]), merged(order[split:])]) == whole
    assert merged([]) == {}
