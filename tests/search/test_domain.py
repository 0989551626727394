"""Spaces: what is drawn, what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from raygan.search.domain import parse_domain


def draws(given: dict, count: int = 300) -> list:
    rng = np.random.default_rng(0)
    return [parse_domain(given).sample(rng) for _ in range(count)]


def test_a_choice_draws_every_value() -> None:
    assert set(draws({"choice": [1, 2, "auto"]})) == {1, 2, "auto"}


def test_names_stand_for_values() -> None:
    domain = parse_domain({"choice": {"planned": {"solver": "exact"}, "server": {"solver": "fixed"}}})
    assert set(draws({"choice": {"planned": {"solver": "exact"}}}, 3)) == {"planned"}
    assert domain.value("server") == {"solver": "fixed"}


def test_a_range_is_drawn_within_its_bounds() -> None:
    values = draws({"uniform": [2, 4]})
    assert min(values) >= 2
    assert max(values) <= 4
    assert 2.9 < np.mean(values) < 3.1


def test_steps_are_kept() -> None:
    assert set(draws({"quniform": [0, 1, 0.25]})) == {0.0, 0.25, 0.5, 0.75, 1.0}


def test_a_logarithmic_range_has_its_middle_in_its_logarithm() -> None:
    values = draws({"loguniform": ["1e-4", "1e-2"]})
    assert 0.4 < np.mean(np.array(values) < 1e-3) < 0.6


def test_the_upper_end_of_whole_numbers_is_left_out() -> None:
    assert set(draws({"randint": [1, 4]})) == {1, 2, 3}
    assert parse_domain({"randint": [1, 4]}).probes == [1, 3]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (3, "3 is no space; give one of grid, choice"),
        ({"gird": [1]}, "is no space"),
        ({"grid": [1], "choice": [1]}, "is no space"),
        ({"grid": []}, "is no list of values; give at least one"),
        ({"grid": 3}, "is no list of values"),
        ({"grid": [1, 1.0]}, "1.0 is given twice"),
        ({"choice": [[0, 1]]}, "has no name; write choice: {name: value, ...}"),
        ({"uniform": [1]}, "give [low, high], numbers"),
        ({"uniform": [1, "many"]}, "give [low, high], numbers"),
        ({"uniform": [1, True]}, "give [low, high], numbers"),
        ({"uniform": [2, 1]}, "2 is not below 1"),
        ({"uniform": [0, float("inf")]}, "numbers"),
        ({"quniform": [0, 1]}, "give [low, high, step]"),
        ({"quniform": [0, 1, 0]}, "give a step above 0"),
        ({"loguniform": [0, 1]}, "0 has no logarithm"),
        ({"randint": [0, 1.5]}, "give whole numbers"),
    ],
)
def test_what_is_no_space(given: object, message: str) -> None:
    with pytest.raises(ValueError, match=r".+; .+") as refused:
        parse_domain(given)
    assert message in str(refused.value)
