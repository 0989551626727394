from __future__ import annotations

import numpy as np
import pytest

from raygan.federated.aggregation import BlockAverager
from raygan.names import BlockKey
from raygan.wire.records import State


def state(**blocks: float) -> State:
    """`g0=1.0` is generator block 0 with one weight of 1."""
    names = {"g": "generator", "d": "discriminator"}
    keys: dict[str, BlockKey] = {name: (names[name[0]], int(name[1:])) for name in blocks}
    return State(10, {keys[name]: {"weight": np.array([value], dtype=np.float32)} for name, value in blocks.items()})


def averaged(members: list[tuple[State, float]], body: State) -> dict[BlockKey, dict[str, np.ndarray]]:
    averager = BlockAverager(body)
    for member, weight in members:
        averager.add(member, weight)
    return averager.average()


def test_a_member_without_a_block_counts_with_the_bodys() -> None:
    # Block 1: held by the first (2.0, w = 1/4); the second has a hole, so the body's 10.0, w = 3/4: 0.5 + 7.5
    # Block 0: both hold it: 1/4 * 4 + 3/4 * 8 = 7.   Block 2: nobody holds it: the body's.
    members = [(state(g0=4, g1=2), 0.25), (state(g0=8), 0.75)]
    averages = averaged(members, state(g1=10, g2=-1))
    assert {key[1]: float(block["weight"][0]) for key, block in averages.items()} == {0: 7.0, 1: 8.0, 2: -1.0}


def test_networks_are_kept_apart() -> None:
    averages = averaged([(state(g0=1, d0=2), 1.0)], state())
    assert averages["generator", 0]["weight"] == 1
    assert averages["discriminator", 0]["weight"] == 2


def test_buffers_are_averaged_and_counters_rounded_in_their_own_dtype() -> None:
    key: BlockKey = ("generator", 0)
    members = [
        (
            State(1, {key: {"mean": np.float32([1, 2]), "num_batches_tracked": np.array(n, dtype=np.int64)}}),
            0.5,
        )
        for n in (10, 13)
    ]
    average = averaged(members, State(0, {}))[key]
    assert average["num_batches_tracked"] == 12  # 11.5, rounded to even
    assert average["num_batches_tracked"].dtype == np.int64
    assert average["mean"].dtype == np.float32


def test_a_member_of_weight_zero_is_left_out_whatever_it_holds() -> None:
    averages = averaged([(state(g0=1), 1.0), (state(g0=float("nan")), 0.0)], state())
    assert averages["generator", 0]["weight"].tolist() == [1.0]


def test_equal_members_stay_what_they_are() -> None:
    value = np.float32(0.1)
    averages = averaged([(state(g0=value), w) for w in (1 / 3, 1 / 3, 1 / 3)], state(g1=value))
    assert averages["generator", 0]["weight"][0] == pytest.approx(value, rel=1e-7)
    assert averages["generator", 1]["weight"][0] == value
