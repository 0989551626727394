"""Nodes, node types and demands small enough to place by hand."""

from __future__ import annotations

import pytest

from raygan.runtime.ray.capacity import Autoscaler, Node, NodeType, labels_fit, place, shortage
from raygan.runtime.ray.demand import ActorDemand
from raygan.runtime.ray.nodes import autoscaler_of

HEAD = Node({"CPU": 2}, {"CPU": 2}, {})
SMALL = Node({"CPU": 1, "small": 2}, {"CPU": 1, "small": 2}, {"site": "a"}, "small")
AUTOSCALER = Autoscaler(
    (NodeType("small", {"CPU": 1, "small": 2}, {"site": "a"}, 2), NodeType("body", {"body": 1}, {}, 1)), 3
)


def client(number: int, amount: float = 1, labels: dict | None = None, profile: str = "small") -> ActorDemand:
    return ActorDemand(f"client-{number:02d}", 0, 0, {profile: amount}, labels or {}, profile)


BODY = ActorDemand("body", 0, 0, {"body": 1}, {})
NOTHING = ActorDemand("evaluator", 0, 0, {}, {})


def message(demands: list[ActorDemand], nodes: list[Node], autoscaler: Autoscaler | None = None) -> str:
    placement = place(demands, nodes, autoscaler)
    return str(shortage(placement.unplaced[0], demands, nodes, autoscaler))


def test_what_asks_for_nothing_fits_everywhere() -> None:
    assert not place([NOTHING], [HEAD]).unplaced


def test_actors_share_a_node_until_it_is_full() -> None:
    clients = [client(n) for n in range(3)]
    assert not place(clients[:2], [HEAD, SMALL]).unplaced
    assert len(place(clients, [HEAD, SMALL]).unplaced) == 1


def test_the_autoscaler_starts_as_many_nodes_as_are_needed() -> None:
    demands = [BODY, *(client(n) for n in range(5))]
    assert place(demands, [HEAD], AUTOSCALER).started == {"body": 1, "small": 2}
    assert len(place(demands, [HEAD], AUTOSCALER).unplaced) == 1, "two nodes have room for four"
    assert place(demands, [HEAD, SMALL], AUTOSCALER).started == {"body": 1, "small": 1}


def test_all_types_together_stay_under_the_limit() -> None:
    tight = Autoscaler(AUTOSCALER.node_types, 2)
    placement = place([BODY, *(client(n) for n in range(4))], [HEAD], tight)
    assert sum(placement.started.values()) == 2
    assert len(placement.unplaced) in (1, 2)


def test_those_that_few_nodes_can_take_go_first() -> None:
    wide, narrow = Node({"x": 1}, {"x": 1}, {"site": "a"}), Node({"x": 1}, {"x": 1}, {})
    somewhere, here = client(0, profile="x"), client(1, labels={"site": "a"}, profile="x")
    assert not place([somewhere, here], [wide, narrow]).unplaced


def test_what_others_use_counts_when_asked() -> None:
    busy = Node({"small": 2}, {"small": 1}, {})
    clients = [client(0), client(1)]
    assert not place(clients, [busy]).unplaced
    assert len(place(clients, [busy], only_free=True).unplaced) == 1


def test_a_sum_that_is_too_small_is_told_with_profile_resource_needed_and_available() -> None:
    clients = [client(n) for n in range(3)]
    assert message(clients, [HEAD, SMALL]) == (
        "profile 'small': needs 3 'small', the cluster has 2; add nodes that declare 'small', or change devices.fleet"
    )


def test_the_autoscalers_limit_is_told() -> None:
    clients = [client(n) for n in range(7)]
    assert message(clients, [HEAD, SMALL], AUTOSCALER) == (
        "profile 'small': needs 7 'small', the cluster has 2, its autoscaler may add 2; "
        "raise max_workers of a node type that declares 'small', or change devices.fleet"
    )


def test_one_actor_must_fit_one_node() -> None:
    two = [SMALL, SMALL]
    assert "one actor needs 3 'small' on one node, the largest has 2" in message([client(0, 3)], two)


def test_a_site_without_nodes_is_told() -> None:
    assert message([client(0, labels={"site": "b"})], [HEAD, SMALL]) == (
        "profile 'small': needs a node labelled site=b, there is none; "
        "add nodes labelled site=b, or change devices.fleet"
    )


def test_an_actor_without_a_profile_is_named() -> None:
    assert message([BODY], [HEAD]).startswith("actor 'body': needs 1 'body', the cluster has 0; add nodes")


@pytest.mark.parametrize(
    ("selector", "fits"),
    [("a", True), ("b", False), ("!a", False), ("!b", True), ("in(a, b)", True), ("!in(a,b)", False)],
)
def test_selectors_have_rays_form(selector: str, fits: bool) -> None:
    assert labels_fit({"site": selector}, {"site": "a"}) is fits


def test_limits_come_from_the_clusters_file() -> None:
    settings = {
        "max_workers": 5,
        "head_node_type": "head",
        "available_node_types": {
            "head": {"resources": {}},
            "small": {"resources": {"small": 1}, "labels": {"site": "a"}, "max_workers": 2},
            "free": {"resources": {"x": 1}},
        },
    }
    assert autoscaler_of(settings) == Autoscaler(
        (NodeType("small", {"small": 1}, {"site": "a"}, 2), NodeType("free", {"x": 1}, {}, 5)), 5
    )
