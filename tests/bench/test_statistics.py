from __future__ import annotations

import pytest

from raygan.bench.statistics import Spread, ratios, rotated


def test_a_spread_is_the_median_and_both_ends() -> None:
    assert Spread.of([4.0, 1.0, 9.0]) == Spread(median=4.0, min=1.0, max=9.0)
    assert Spread.of([1.0, 2.0]) == Spread(median=1.5, min=1.0, max=2.0)


def test_ratios_are_taken_within_a_turn() -> None:
    """The machine is half as fast in the second turn: the ratio does not see it."""
    assert ratios([90.0, 45.0], [100.0, 50.0]) == pytest.approx([0.9, 0.9])


def test_every_turn_begins_with_another() -> None:
    assert [rotated(["a", "b", "c"], turn) for turn in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]
