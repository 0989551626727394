"""Who is in a run: numbers that stay, whoever joins and leaves."""

from __future__ import annotations

from typing import Any

import pytest

from raygan.config.loading import make_config
from raygan.config.schema import Config
from raygan.errors import ConfigError

DEMO = {"name": "demo_mnist"}


def config(clients: list[int], joined: list[tuple[int, int]] = (), left: list[int] = (), **more: Any) -> Config:  # type: ignore[assignment]
    entries = [{"domain": domain, "clients": count, "after_round": 3} for domain, count in joined]
    data = {"domains": [DEMO | {"clients": count} for count in clients], "joined": entries, "left": list(left)}
    return make_config({"data": data, **more})


def test_clients_are_numbered_through_the_domains() -> None:
    data = config([2, 3]).data
    assert [(m.client, m.domain, m.place, m.dealt_with) for m in data.members] == [
        (0, 0, 0, 2), (1, 0, 1, 2), (2, 1, 0, 3), (3, 1, 1, 3), (4, 1, 2, 3)
    ]  # fmt: skip
    assert all(m.dealt_before == () and m.after_round == 0 for m in data.members)


def test_who_joins_gets_the_next_number_and_who_leaves_takes_its_own_along() -> None:
    """First two and three; then one more of the first domain, two of a new one, and again one of the first."""
    data = config([4, 3, 2], [(0, 1), (2, 2), (0, 1)], left=[3, 5]).data
    assert [m.domain for m in data.everybody] == [0, 0, 1, 1, 1, 0, 2, 2, 0]
    assert [m.client for m in data.members] == [0, 1, 2, 4, 6, 7, 8]
    first, _, _, _, _, later, new, _, last = data.everybody
    assert (first.dealt_before, first.dealt_with, first.place_in_domain) == ((), 2, 0)
    assert (later.dealt_before, later.dealt_with, later.place_in_domain, later.after_round) == ((2,), 1, 2, 3)
    assert (new.dealt_before, new.dealt_with) == ((), 2)
    assert (last.dealt_before, last.dealt_with, last.place_in_domain) == ((2, 1), 1, 3)


def test_devices_go_by_numbers() -> None:
    fleet = {"fleet": ["raspberry_pi_4", "jetson_nano", "workstation"]}
    found = config([3, 3], [(0, 1)], left=[1], devices=fleet)
    assert found.profiles == ["raspberry_pi_4", "workstation", "raspberry_pi_4", "jetson_nano", "workstation"]
    assert (found.num_clients, found.data.held) == (5, (0, 1))
    assert config([1, 2], left=[0]).data.held == (1,)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([2, 2], [], [4]), "data.left: there is no client 4; give numbers from 0 to 3"),
        (([1], [], [0]), "data.left: every client has left; leave one at least"),
        (([2], [(0, 3)]), "data.joined: more clients than data.domains has"),
        (([2], [(1, 1)]), "data.joined: more clients than data.domains has"),
    ],
)
def test_lists_that_contradict_each_other_are_refused(arguments: Any, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config(*arguments)
    assert message in str(refused.value)
