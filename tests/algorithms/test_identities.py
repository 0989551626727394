"""Models keep their identity over rounds, by hand. Clusters are numbered 7, 8, 9: those numbers say nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from raygan.algorithms.identities import lasting_identities, served_after


def groups(*clients: Sequence[int]) -> dict[int, int]:
    """Client -> its group: the first are in 7, the next in 8, and so on."""
    return {client: 7 + place for place, several in enumerate(clients) for client in several}


@pytest.mark.parametrize(
    ("now", "before", "num_models", "matched", "num_after"),
    [
        pytest.param(groups([0, 1], [2]), {}, 0, {7: 0, 8: 1}, 2, id="the first round: by their first clients"),
        pytest.param(groups([2], [0, 1]), {}, 0, {7: 1, 8: 0}, 2, id="whatever the groups' numbers are"),
        pytest.param({0: 1, 1: 1, 2: 0, 3: 0}, {0: 0, 1: 0, 2: 1, 3: 1}, 2, {1: 0, 0: 1}, 2, id="swapped numbers"),
        pytest.param(
            groups([0, 1], [2, 3, 4]), {0: 1, 1: 1, 2: 1, 3: 0, 4: 0}, 2, {7: 1, 8: 0}, 2, id="one moves over"
        ),
        pytest.param(
            groups([0], [1, 2]),
            dict.fromkeys(range(3), 0),
            1,
            {7: 1, 8: 0},
            2,
            id="a split: the larger part stays",
        ),
        pytest.param(
            groups([0, 1, 2]),
            {0: 0, 1: 1, 2: 1},
            2,
            {7: 1},
            2,
            id="a merge: it is the larger one; the other vanishes",
        ),
        pytest.param(
            groups([0], [1]),
            {0: 3, 1: 3},
            5,
            {7: 3, 8: 5},
            6,
            id="a new one never takes an identity that was one",
        ),
        pytest.param(groups([4], [5]), {}, 2, {7: 2, 8: 3}, 4, id="clients that never had a model make new ones"),
        pytest.param(
            groups([0, 1], [2, 3]),
            {0: 0, 1: 1, 2: 0, 3: 1},
            2,
            {7: 0, 8: 1},
            2,
            id="all equal: the smaller model first",
        ),
        pytest.param(
            groups([1, 2], [0, 3]),
            {0: 0, 1: 0},
            1,
            {8: 0, 7: 1},
            2,
            id="all equal: then the smaller client's group",
        ),
        pytest.param(
            groups([0, 1, 2], [3, 4, 5]),
            {0: 0, 1: 0, 2: 1, 3: 0, 4: 0, 5: 0},
            2,
            {8: 0, 7: 1},
            2,
            id="the largest overlap is matched first, so that another is left for the rest",
        ),
        pytest.param(groups([0, 1], [2]), {0: 0, 2: 0, 9: 1}, 2, {7: 0, 8: 2}, 3, id="who is absent has no say"),
    ],
)
def test_a_group_is_the_model_that_most_of_it_had(
    now: Mapping[int, int],
    before: Mapping[int, int],
    num_models: int,
    matched: dict[int, int],
    num_after: int,
) -> None:
    assert lasting_identities(now, before, num_models) == (matched, num_after)


def served(*rounds: Mapping[int, int], num_clients: int) -> dict[int, int]:
    """Client -> its model after these rounds."""
    found: dict[int, int] = {}
    for now in rounds:
        found = served_after(found, now, range(num_clients))
    return found


def test_who_was_absent_goes_where_most_of_its_last_cluster_went() -> None:
    rounds = [{0: 0, 1: 0, 2: 0, 3: 1, 4: 1}, {0: 2, 1: 2, 3: 0}, {0: 5, 4: 6}]
    assert served(*rounds[:2], num_clients=6) == {0: 2, 1: 2, 2: 2, 3: 0, 4: 0, 5: 2}
    assert served(*rounds, num_clients=6) == {0: 5, 1: 5, 2: 5, 3: 6, 4: 6, 5: 5}


def test_most_decide_and_of_equally_many_the_smaller_model() -> None:
    before = dict.fromkeys(range(6), 0)
    assert served_after(before, {0: 3, 1: 4, 2: 4}, range(6))[5] == 4
    assert served_after(before, {0: 3, 1: 4}, range(6))[5] == 3
    assert served_after(before, {0: 4, 1: 3}, range(6))[5] == 3


def test_whose_whole_cluster_was_absent_goes_to_the_smallest() -> None:
    assert served_after({0: 0, 1: 1, 2: 1}, {0: 4, 3: 2}, range(4)) == {0: 4, 1: 2, 2: 2, 3: 2}


def test_who_never_had_a_model_goes_to_the_smallest() -> None:
    assert served_after({}, {1: 3, 2: 2}, range(4)) == {0: 2, 1: 3, 2: 2, 3: 2}
