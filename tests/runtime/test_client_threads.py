"""The clients of a worker side by side in one process: the numbers of one after the other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch

import raygan
from raygan.config.loading import make_config
from raygan.names import in_turn
from raygan.run.plan import make_plan
from raygan.runtime import client_threads
from raygan.runtime.client_threads import TRIES, ClientThreads, Faster
from raygan.wire.records import StepId
from tests.federations import in_process
from tests.rounds import assert_same_training


@pytest.fixture
def threads() -> Any:
    """Sets those of torch's, until the test is over."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def test_as_many_are_under_way_as_the_cores_have_room_for(threads: Any) -> None:
    """Four cores, two torch threads each: two at a time, and each sees two."""
    threads(2)
    met = threading.Barrier(2, timeout=20)
    under_way: list[int] = []
    most: list[int] = []

    def call(number: int) -> Callable[[], tuple[int, int]]:
        def made() -> tuple[int, int]:
            under_way.append(number)
            met.wait()
            most.append(len(under_way))
            met.wait()
            under_way.remove(number)
            return number, torch.get_num_threads()

        return made

    compute = ClientThreads(4)
    assert compute([call(number) for number in range(6)]) == [(number, 2) for number in range(6)]
    compute.close()
    assert set(most) == {2}
    assert torch.get_num_threads() == 2


def test_what_one_raises_is_raised() -> None:
    def fails() -> None:
        raise ZeroDivisionError("of a client's")

    compute = ClientThreads(4)
    with pytest.raises(ZeroDivisionError, match="of a client's"):
        compute([lambda: None, fails, lambda: None])
    compute.close()


def test_where_all_cores_are_taken_one_goes_after_the_other(threads: Any) -> None:
    threads(2)
    here = threading.get_ident()
    compute = ClientThreads(3)
    assert compute([threading.get_ident] * 3) == [here] * 3
    compute.close()


@pytest.mark.parametrize("algorithm", ["huscf", "fed_gan", "md_gan", "ua_gan"])
def test_the_numbers_are_those_of_one_after_the_other(
    tiny_settings: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, algorithm: str, threads: Any
) -> None:
    threads(2)
    config = make_config(
        tiny_settings
        | {"algorithm": algorithm, "ray": tiny_settings["ray"] | {"clients_per_actor": 6}}
        | {"training": tiny_settings["training"] | {"average": {}}}
    )
    used: list[int] = []
    plain = ClientThreads.__call__

    def counted(self: ClientThreads, calls: Any) -> Any:
        used.append(len(calls))
        return plain(self, calls)

    monkeypatch.setattr(ClientThreads, "__call__", counted)
    monkeypatch.setattr(Faster, "way", lambda self, method: nullcontext(self._ways[1]))
    side_by_side = raygan.train(config, tmp_path / "side by side", in_process=True, progress=False)
    assert max(used) > 1
    monkeypatch.setattr(Faster, "way", lambda self, method: nullcontext(self._ways[0]))
    one_by_one = raygan.train(config, tmp_path / "in turn", in_process=True, progress=False)
    assert_same_training(side_by_side.path, one_by_one.path)


def make_networks(*args: Any) -> Any:
    from raygan.nn.blocks import paper_networks

    return paper_networks(*args)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, True),
        ({"model": {"networks": "tests.runtime.test_client_threads:make_networks"}}, False),
    ],
    ids=["ours", "of the user's"],
)
def test_networks_of_the_users_are_computed_in_turn(tiny_settings: dict, changed: dict, expected: bool) -> None:
    """They may draw from torch's one generator, in whose order the numbers would depend."""
    settings = tiny_settings | {key: tiny_settings[key] | value for key, value in changed.items()}
    started = in_process(make_plan(make_config(settings)))
    started.begin_round(0)
    used = []
    for number in range(2):
        started.reports(StepId(0, number))
        used.append(isinstance(started.party_of(0).compute, ClientThreads))
    started.close()
    assert used == [False, expected]


def test_each_way_is_tried_and_then_the_faster_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Method by method; the first time of each does not count."""
    now = [0.0]
    monkeypatch.setattr(client_threads.time, "perf_counter", lambda: now[0])

    def other(calls: Any) -> Any:
        return [call() for call in calls]

    faster = Faster(other)
    seconds = {("small", in_turn): [9, 1, 1, 1], ("small", other): [1, 2, 2, 2]}
    seconds |= {("large", in_turn): [1, 5, 5, 5], ("large", other): [9, 6, 4, 6]}
    for method in ("small", "large"):
        left = {way: list(seconds[method, way]) for way in (in_turn, other)}
        for place in range(2 * TRIES):
            with faster.way(method) as way:
                assert way is (in_turn, other)[place % 2]
                now[0] += left[way].pop(0)
    for method, kept in (("small", in_turn), ("large", other), ("small", in_turn)):
        with faster.way(method) as way:
            assert way is kept


def failing(faster: Faster) -> None:
    with faster.way("train") as way:
        assert way is in_turn
        raise ZeroDivisionError


def test_a_call_that_fails_is_no_try() -> None:
    faster = Faster(lambda calls: [])
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            failing(faster)
