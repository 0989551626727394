from __future__ import annotations

import pytest

from raygan.bench.statistics import ratios, rotated, spread


def test_a_spread_is_the_median_and_both_ends() -> None:
    assert spread([4.0, 1.0, 9.0]) == {"median": 4.0, "min": 1.0, "max": 9.0}
    assert spread([1.0, 2.0]) == {"median": 1.5, "min": 1.0, "max": 2.0}


def test_ratios_are_taken_within_a_repeat() -> None:
    """The machine is half as fast in the second repeat: the ratio does not see it."""
    assert ratios([90.0, 45.0], [100.0, 50.0]) == pytest.approx([0.9, 0.9])


def test_every_repeat_begins_with_another() -> None:
    assert [rotated(["a", "b", "c"], repeat) for repeat in range(4)] == [
        ["a", "b", "c"],
        ["b", "c", "a"],
        ["c", "a", "b"],
        ["a", "b", "c"],
    ]
