"""Steps of unequal clients against the oracle: losses, weights, buffers, and what Adam has gathered.

The clients differ in what could hide a mistake: cuts, domain, number of images, and so in when their epochs end. The
seed is not 0. Adam's steps do not depend on the gradients' scale, so its moments are compared as well.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raygan.config.loading import make_config
from raygan.names import NETWORKS
from raygan.parties.base import Server, Worker
from raygan.run.plan import Plan, make_plan
from raygan.storage import read_arrays
from raygan.wire.records import StepId
from tests.checkpoint_files import client_states
from tests.federations import in_process
from tests.run.reference import Reference, assert_equal_blocks

ROUND = 1
NUM_STEPS = 6
"""Clients 3 and 4 have two minibatches an epoch, so their two epochs end after four steps; the others' after eight."""


@pytest.fixture(params=["everybody", "own_epochs"])
def plan(tiny_settings: dict[str, Any], request: pytest.FixtureRequest) -> Plan:
    first, second = tiny_settings["data"]["domains"]
    changed = {
        "seed": 5,
        "data": {"domains": [first, second | {"clients": 2, "limit": 40}]},
        "training": tiny_settings["training"] | {"local_epochs": 2, "steps": request.param},
    }
    return make_plan(make_config(tiny_settings | changed))


def test_steps_are_the_oracles(plan: Plan, tmp_path: Path) -> None:
    started = in_process(plan)
    reference = Reference(started.layout, plan.config, ROUND)
    started.begin_round(ROUND)
    for number in range(NUM_STEPS):
        expected = reference.step(number)
        found: dict[int, tuple[float, float]] = {}
        for report in started.reports(StepId(ROUND, number)):
            found |= {c: (x, report.generator_loss[c]) for c, x in report.discriminator_loss.items()}
        all_take_part = number < 4 or plan.config.training.steps == "everybody"
        assert found.keys() == expected.keys() == set(range(5 if all_take_part else 3))
        for client, losses in found.items():
            assert losses == pytest.approx(expected[client], rel=1e-3), f"client {client} in step {number}"
    assert_equal_blocks(started.body_state(), reference.body)
    states = started.states()
    assert states.keys() == reference.own.keys()
    for client, state in states.items():
        assert_equal_blocks(state, reference.own[client])
    for worker in started.layout.workers:
        started.backend.workers[worker.worker].call(Worker.save, str(tmp_path))
    started.backend.servers[0].call(Server.save, str(tmp_path))
    started.close()
    assert_equal_moments(read_arrays(tmp_path / "body.safetensors"), reference, 0)
    states = client_states(tmp_path)
    assert sorted(states) == list(range(5))
    for client, arrays in states.items():
        assert_equal_moments(arrays, reference, 1 + client)


def assert_equal_moments(arrays: dict[str, np.ndarray], reference: Reference, owner: int) -> None:
    """Adam's moments of a checkpoint, `adam.network.block.parameter.moment`; owner 0 is the body."""
    saved = {name: array for name, array in arrays.items() if name.startswith("adam.")}
    assert saved
    for network in NETWORKS:
        blocks = [reference.body, *reference.own.values()][owner][network]
        for index, block in enumerate(blocks):
            for name, parameter in block.named_parameters():
                gathered = reference.optimizers[network][owner].state.get(parameter, {})
                assert f"adam.{network}.{index}.{name}.step" in saved or not gathered
                for moment, expected in gathered.items():
                    where = f"adam.{network}.{index}.{name}.{moment}"
                    atol = 0.02 * expected.abs().max().item()
                    np.testing.assert_allclose(saved[where], expected.numpy(), atol=atol, err_msg=where)
