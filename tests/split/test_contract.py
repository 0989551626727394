"""What a sender may put on the wire, by its cuts: everything else is refused before it leaves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from raygan.config.loading import make_config
from raygan.errors import WireError
from raygan.parties.base import Party
from raygan.run.plan import Plan, make_plan
from raygan.runtime.in_process import LocalHandle
from raygan.split.contract import Contract
from raygan.split.layout import Layout
from raygan.split.worker import SplitClients
from raygan.step import Crossing
from raygan.wire.records import Activations, Encoded, Gradients, State, StepId

STEP = StepId(0, 0)
FAKES = Crossing("generate", "forward")
WORKER = 1
"""The medium device: generator (0, 1), discriminator (1, 0); its only clients are 1 and 4."""


@pytest.fixture(scope="module")
def plan(tiny_settings: dict) -> Plan:
    return make_plan(make_config(tiny_settings | {"ray": {"clients_per_actor": 2}}))


@pytest.fixture(scope="module")
def contract(plan: Plan) -> Contract:
    return Contract(plan.layout, plan.config.training.batch_size)


def batch(*shape: int) -> np.ndarray:
    return np.zeros((8, *shape), dtype=np.float32)


def shapes(plan: Plan, network: str) -> tuple:
    return plan.layout.output_shapes[network]


def test_the_forms_follow_from_the_networks(plan: Plan) -> None:
    """Width 1/16 of 256, 128, 128, 64 and 64, 128, 128, 256 channels; 12 pixels."""
    assert shapes(plan, "generator") == ((16, 3, 3), (8, 6, 6), (8, 6, 6), (4, 12, 12), (1, 12, 12))
    assert shapes(plan, "discriminator") == ((4, 6, 6), (8, 3, 3), (8, 3, 3), (16, 1, 1), ())
    assert plan.layout.workers[WORKER].ids == (1, 4)


@pytest.mark.parametrize(
    ("method", "record", "network", "block", "tensors"),
    [
        ("generate", Activations, "generator", 0, 1),
        ("discriminate", Activations, "discriminator", 1, 2),
        ("discriminator_loss", Gradients, "discriminator", 3, 2),
        ("update_discriminator", Activations, "discriminator", 1, 1),
        ("generator_loss", Gradients, "discriminator", 3, 1),
        ("backpropagate", Gradients, "generator", 2, 1),
    ],
)
def test_every_phase_has_its_cut(
    contract: Contract, plan: Plan, method: str, record: type, network: str, block: int, tensors: int
) -> None:
    right = (batch(*shapes(plan, network)[block]),) * tensors
    assert contract.client_problem(WORKER, method, record(STEP, {1: right, 4: right})) is None
    other = Gradients if record is Activations else Activations
    assert "belong" in str(contract.client_problem(WORKER, method, other(STEP, {1: right})))
    assert "not one of 1, 4" in str(contract.client_problem(WORKER, method, record(STEP, {0: right})))
    assert f"not {tensors}" in str(contract.client_problem(WORKER, method, record(STEP, {1: (*right, right[0])})))


LEAKS = {
    "images as they are": batch(1, 12, 12),
    "images laid out flat": batch(144),
    "labels cast to float": np.zeros(8, dtype=np.float32),
    "labels as a column": batch(1),
    "one-hot labels": batch(4),
    "z": batch(8),
    "images behind the activation": np.zeros((8 + 3, 16, 3, 3), dtype=np.float32),
    "images beside the activation": batch(17, 3, 3),
    "nothing at all": np.zeros((0, 16, 3, 3), dtype=np.float32),
}


@pytest.mark.parametrize("leak", LEAKS.values(), ids=LEAKS.keys())
@pytest.mark.parametrize("encoded", [False, True], ids=["float32", "int8"])
def test_what_is_no_activation_of_its_cut_is_refused(contract: Contract, leak: np.ndarray, encoded: bool) -> None:
    part = Encoded("int8", leak.astype(np.int8), 1.0) if encoded else leak
    found = contract.client_problem(WORKER, "generate", Activations(STEP, {1: (part,)}))
    assert f"a tensor of shape {leak.shape} at a cut where (at most 8, 16, 3, 3) crosses" in str(found)


def test_the_body_refuses_what_a_client_should_not_have_sent(contract: Contract) -> None:
    bad = Activations(STEP, {1: (batch(1, 12, 12),)})
    assert "a tensor of shape" in str(contract.arrival_problem(WORKER, FAKES, bad))


def test_the_body_sends_nobody_what_is_anothers(contract: Contract, plan: Plan) -> None:
    right = batch(*shapes(plan, "generator")[2])
    assert contract.departure_problem(WORKER, FAKES, Activations(STEP, {1: (right,)})) is None
    stranger = Activations(STEP, {1: (right,), 2: (right,)})
    assert "client 2 is not one of 1, 4" in str(contract.departure_problem(WORKER, FAKES, stranger))


def test_states_hold_the_blocks_of_the_cut_and_nothing_else(contract: Contract, plan: Plan) -> None:
    worker = SplitClients(plan.layout.workers[WORKER], plan.layout, plan.config)
    good = worker.state()
    assert contract.client_problem(WORKER, "state", good) is None
    key = ("generator", 0)
    swollen = {name: batch(1, 12, 12) if name == "linear.bias" else a for name, a in good[0].blocks[key].items()}
    extra = {**good[0].blocks[key], "images": batch(1, 12, 12)}
    for blocks in ({key: swollen}, {key: extra}):
        bad = [replace(good[0], blocks={**good[0].blocks, **blocks}), good[1]]
        assert "generator block 0: not this block's parameters" in str(contract.client_problem(WORKER, "state", bad))
    fewer = State(1, {key: good[0].blocks[key]})
    assert "blocks" in str(contract.client_problem(WORKER, "state", [fewer, good[1]]))
    assert "one state for each client" in str(contract.client_problem(WORKER, "state", good[:1]))


def test_a_handle_refuses_before_anything_leaves(contract: Contract) -> None:
    class Leaky(Party):
        def generate(self, step: StepId) -> Activations:
            return Activations(step, {1: (batch(1, 12, 12),)})

        def problem(self, method: str, records: object) -> str | None:
            return contract.client_problem(WORKER, method, records)

    handle = LocalHandle("client-01", Leaky(), 1)
    with pytest.raises(WireError, match=r"client-01, generate: client 1: a tensor of shape .*; it was not sent"):
        handle.call(Leaky.generate, STEP)


def test_a_layout_says_what_may_cross(plan: Plan) -> None:
    """The contract cannot be switched off by leaving the shapes out."""
    layout = plan.layout
    with pytest.raises(TypeError, match=r"output_shapes.* and 'state_shapes'"):
        Layout(layout.workers, layout.spec, layout.num_blocks, layout.anchors)  # type: ignore[call-arg]
