"""Every algorithm that averages gives the plain averages within the fixed-point step; an aggregator sees nobody's."""

from __future__ import annotations

from collections import Counter
from functools import wraps
from typing import Any

import numpy as np
import pytest
import torch

from raygan.algorithms.base import RoundResult
from raygan.config.loading import make_config
from raygan.errors import ConfigError, WireError
from raygan.parties.aggregator import ClusterAggregator
from raygan.parties.base import Worker
from raygan.run.metrics import links
from raygan.run.plan import make_plan
from raygan.runtime.in_process import LocalHandle
from raygan.secure.fixed_point import STEP, encode
from raygan.wire.records import BlockAverage, Lost, State
from tests.secure.federated import ALGORITHMS, SECURE, federated, losing, settings_of
from tests.secure.federated import arrays_of as arrays_of_models
from tests.split.canaries import Search, serialized

BOUND = 6 * STEP / 2
"""Half a step a member, of six; beside it, half a last bit of float32."""


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_averages_are_the_plain_ones(tiny_settings: dict[str, Any], algorithm: str) -> None:
    settings = settings_of(tiny_settings, algorithm)
    steps = 1 if algorithm == "fed_gan" else 2  # after an average, training takes the last bits further apart
    with federated(settings) as plain, federated(settings | SECURE) as secure:
        expected, result = arrays_of_models(plain.round(steps=steps)), secure.round(steps=steps)
    found = arrays_of_models(result)
    assert found.keys() == expected.keys()
    for name, array in found.items():
        assert array.dtype == expected[name].dtype
        np.testing.assert_allclose(array, expected[name], rtol=2.0**-22, atol=BOUND, err_msg=str(name))
    assert not result.faults


def test_a_block_that_few_hold_is_the_bodys_and_is_told_once(tiny_settings: dict[str, Any]) -> None:
    """Of three kinds of cuts two clients have each: G's block 1 and D's block 3 are held by two."""
    with federated(tiny_settings | {"clusters": {"warmup_rounds": 9}} | SECURE) as one:
        clients, body = one.plan.layout.clients, one.backend.servers[0]
        first = one.round()
        (line,) = first.faults
        assert line.startswith(
            "fewer than 3 of a cluster hold these blocks: they are in no sum, and count as the body's:"
        )
        assert line.endswith(": discriminator 3, generator 1 (privacy.secure_aggregation)")
        (model,) = first.models.values()
        average: Any = model.blocks["generator", 1]
        (state,) = one.federation.fetch([body.submit("state", 1, [])[0]])
        assert isinstance(state, State)
        assert isinstance(average, BlockAverage)
        holder = next(plan for plan in clients if plan.generator_cut[0] == 1)
        held = one.backend.workers[one.plan.layout.worker_of[holder.client]]._party
        for name, array in average.state.items():
            np.testing.assert_array_equal(array, state.blocks["generator", 1][name])
            own = held._clients[holder.client].state().blocks["generator", 1][name]  # type: ignore[attr-defined]
            np.testing.assert_array_equal(array, own, err_msg="the holder has taken it over as well")
        again = one.plan.algorithm.round(one.federation, first.state, first.cohort)
        assert not again.faults


def test_clients_of_several_bodies_are_in_one_sum(tiny_settings: dict[str, Any]) -> None:
    """What a member lacks counts as the body's, whose weights are the same in every replica."""
    ray = {"ray": tiny_settings["ray"] | {"clients_per_actor": 2, "body_replicas": 2}}
    settings = settings_of(tiny_settings, "huscf") | ray
    with federated(settings) as plain, federated(settings | SECURE) as secure:
        expected, result = arrays_of_models(plain.round()), secure.round()
    assert not result.faults
    for name, array in arrays_of_models(result).items():
        np.testing.assert_allclose(array, expected[name], rtol=2.0**-22, atol=BOUND, err_msg=str(name))


def patterns_of(client: int, weight: float, state: State) -> dict[str, bytes]:
    """What a member's blocks begin with, in every form in which they could be sent unmasked."""
    found = {}
    for key, block in state.blocks.items():
        for name, array in block.items():
            if array.size >= 64 and array.dtype.kind == "f":
                where = f"client {client} {key} {name}"
                found[where] = array.tobytes()[:64]
                found[f"{where}, weighted"] = (weight * array.astype(np.float64)).tobytes()[:64]
                found[f"{where}, in fixed point"] = encode({name: array}, weight).tobytes()[:64]
    return found


@pytest.mark.parametrize(
    ("algorithm", "is_secure"),
    [
        ("huscf", False),
        ("huscf", True),
        ("clustered_fed_gan", True),
        *(pytest.param(name, True, marks=pytest.mark.slow) for name in ("fed_gan", "hierarchical", "fed_split_gan")),
    ],
)
def test_no_members_blocks_can_be_read_from_what_crosses(
    tiny_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch, algorithm: str, is_secure: bool
) -> None:
    """A wiretap on all that leaves the clients and reaches the aggregators. Without masks it finds every client."""
    tapped: list[bytes] = []
    submit = LocalHandle.submit

    def tap(self: LocalHandle, method: str, count: int, arguments: Any) -> Any:
        if method == "survivors":  # which streams them
            arguments = [*arguments[:-1], list(arguments[-1])]
        answers = submit(self, method, count, arguments)
        if isinstance(self._party, (ClusterAggregator, Worker)):
            tapped.append(serialized([arguments if isinstance(self._party, ClusterAggregator) else [], answers]))
        return answers

    with federated(settings_of(tiny_settings, algorithm) | (SECURE if is_secure else {})) as one:
        patterns: dict[str, bytes] = {}
        worker_type = one.plan.algorithm.worker_type
        read = "state" if algorithm == "huscf" else "states"
        load = worker_type.load  # type: ignore[attr-defined]

        @wraps(load)
        def remembering(self: Any, averages: Any) -> Any:
            for client, state in zip(self._clients, getattr(self, read)(), strict=True):
                patterns.update(patterns_of(client, 1 / 6, state))
            return load(self, averages)

        monkeypatch.setattr(worker_type, "load", remembering)
        monkeypatch.setattr(LocalHandle, "submit", tap)
        one.round()
    holders = Counter(patterns.values())  # what is not trained, all have alike
    own = {name: pattern for name, pattern in patterns.items() if holders[pattern] == 1}
    assert len(own) >= 90, "of D alone, where no more leaves a client"
    search = Search(b"".join(tapped))
    found = search.found(own)
    if is_secure:
        assert found == []
    else:
        assert {name.split(" (")[0] for name in found} == {f"client {client}" for client in range(6)}


def test_a_state_does_not_leave_a_client_whose_run_sums_securely(tiny_settings: dict[str, Any]) -> None:
    with federated(settings_of(tiny_settings, "fed_gan") | SECURE) as one:
        handle = next(iter(one.backend.workers.values()))
        with pytest.raises(WireError, match="a State is nothing that leaves a client here; it was not sent"):
            handle.submit("states", 3, [])


def round_without_answers(settings: dict[str, Any], *lost: str) -> RoundResult:
    """A round in which the worker of client 0 is not there for these calls."""
    submit = LocalHandle.submit

    def lose(self: LocalHandle, method: str, count: int, arguments: Any) -> Any:
        if method in lost and self.name.startswith(("client-00", "clients-00")):
            return [Lost("killed")] * count
        return submit(self, method, count, arguments)

    with federated(settings) as one, pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalHandle, "submit", lose)
        return one.round(steps=1)


@pytest.mark.parametrize(
    ("algorithm", "turn"), [("huscf", "share"), *((name, turn) for name in ALGORITHMS for turn in ("mask", "unmask"))]
)
def test_a_member_that_is_lost_costs_nothing_but_itself(
    tiny_settings: dict[str, Any], algorithm: str, turn: str
) -> None:
    """A worker of two of six clients: before its blocks are out the average is the plain one of the others, after that
    the plain one of all."""
    settings = losing(settings_of(tiny_settings, algorithm))
    result = round_without_answers(settings | SECURE, turn)
    plain = round_without_answers(settings, *(() if turn == "unmask" else ("state", "states")))
    found, expected = arrays_of_models(result), arrays_of_models(plain)
    assert found.keys() == expected.keys()
    for name, array in found.items():
        np.testing.assert_allclose(array, expected[name], rtol=2.0**-22, atol=BOUND, err_msg=str(name))
    told = [fault for fault in (*result.epochs.faults, *result.faults) if "is in no sum" in fault]
    mates = ["client-00", "client-02" if algorithm == "huscf" else "client-03"]
    assert [fault[:9] for fault in told] == ([] if turn == "unmask" else mates)


def test_a_member_that_refuses_is_left_out_and_in_the_ledger(tiny_settings: dict[str, Any]) -> None:
    """A parameter that fixed point cannot hold."""
    with federated(settings_of(tiny_settings, "fed_gan") | {"fed_gan": None} | SECURE) as one:
        (worker,) = (handle._party for handle in one.backend.workers.values() if 0 in handle._party._clients)  # type: ignore[attr-defined]
        with torch.no_grad():
            next(next(iter(worker._clients[0].blocks.values())).parameters()).view(-1)[0] = 2.0**30  # type: ignore[attr-defined]
        result = one.round(steps=0)
        (told,) = (fault for fault in result.epochs.faults if "is in no sum" in fault)
        assert told.startswith("client-00")
        assert links([worker.traffic()])["links"]["aggregator -> client"]["Dealt (refused)"]["records"] == 1


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"algorithm": "local"}, "true, but local averages no clients; set it to false, or use one of huscf, fed_gan"),
        (
            {"clusters": {"count": 3}},
            "true, but of 2 clients there is no sum that hides each (at least 3); add clients",
        ),
        ({"training": {"participation": 0.4}, "clusters": {}}, "true, but of 2 clients there is no sum"),
    ],
)
def test_what_is_no_sum_is_refused(tiny_settings: dict[str, Any], changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        make_plan(make_config(tiny_settings | SECURE | changed))
    assert str(refused.value).startswith(f"privacy.secure_aggregation: {message}")


def test_a_missing_extra_is_one_line(tiny_settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygan.secure.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"cryptography is not installed here; pip install 'raygan\[privacy\]'"):
        make_plan(make_config(tiny_settings | SECURE))
    make_plan(make_config(tiny_settings))
