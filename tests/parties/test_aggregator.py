from __future__ import annotations

import numpy as np

from raygan.names import BlockKey
from raygan.parties.aggregator import ClusterAggregator
from raygan.wire.records import BlockAverage, Lost, State

KEY: BlockKey = ("generator", 0)
BODY = State(0, {})


def state(value: float) -> State:
    return State(1, {KEY: {"weight": np.array([value], dtype=np.float32)}})


def average(members: list, weights: list[float], body: State | Lost = BODY) -> BlockAverage | Lost:
    (answer,) = ClusterAggregator().average([KEY], weights, body, members)
    return answer


def test_the_weight_of_a_lost_member_goes_to_the_others() -> None:
    # 1/4 * 2 + 1/4 * 4, with half of the weight lost: 1.5 / 0.5 = 3
    answer = average([state(2), state(4), Lost("died")], [0.25, 0.25, 0.5])
    assert isinstance(answer, BlockAverage)
    assert answer.state["weight"].tolist() == [3.0]


def test_a_cluster_whose_members_are_all_lost_has_no_average() -> None:
    assert average([Lost("died")], [1.0]) == Lost("no member of the cluster is left")


def test_without_the_bodys_state_there_is_no_average() -> None:
    assert average([state(1)], [1.0], Lost("died")) == Lost("died")
