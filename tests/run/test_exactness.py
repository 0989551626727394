"""The split step is the unsplit step; the actors are the in-process run; the same seed is the same run."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import ray
import torch

from raygan.api import train
from raygan.config.loading import make_config
from raygan.parties.evaluator import EvaluatorPlan
from raygan.run.plan import Plan, make_plan
from raygan.runtime.in_process import LocalGroup
from raygan.split.stages import valid_cuts
from raygan.split.submit import train_step
from raygan.storage import read_arrays
from raygan.wire.records import State, StepId
from tests.run.reference import Reference

CUTS = valid_cuts(5, anchor=2)


def local_group(plan: Plan, folder: Path) -> LocalGroup:
    layout, config = plan.layout, plan.config
    return LocalGroup(
        layout, config, EvaluatorPlan(config.data, plan.shape, layout.spec, None, 0, 10, str(folder), None)
    )


@pytest.mark.parametrize(("generator", "discriminator"), list(itertools.product(CUTS, CUTS)))
def test_one_client_split_anywhere_equals_the_unsplit_networks(
    tiny_settings: dict, tmp_path: Path, generator: tuple, discriminator: tuple
) -> None:
    settings = tiny_settings | {
        "data": {"domains": [tiny_settings["data"]["domains"][0] | {"clients": 1}]},
        "clusters": {"count": 1},
        "devices": tiny_settings["devices"] | {"fleet": ["small"]},
        "cuts": {
            "solver": "fixed",
            "fixed": {"small": {"generator": generator, "discriminator": discriminator}},
        },
    }
    equals_the_reference(make_plan(make_config(settings)), tmp_path, num_steps=5)


@pytest.mark.parametrize("clients_per_actor", [1, 2])
def test_clients_with_different_cuts_equal_one_graph_over_merged_batches(
    tiny_settings: dict, tmp_path: Path, clients_per_actor: int
) -> None:
    ray_settings = tiny_settings["ray"] | {"clients_per_actor": clients_per_actor}
    plan = make_plan(make_config(tiny_settings | {"ray": ray_settings}))
    equals_the_reference(plan, tmp_path, num_steps=3)


def equals_the_reference(plan: Plan, folder: Path, num_steps: int) -> None:
    """Losses of every step, then every parameter and BatchNorm buffer of clients and body."""
    group, layout = local_group(plan, folder), plan.layout
    reference = Reference(layout, plan.config)
    for handle in (*group.workers.values(), group.body):
        handle.call("begin_round", 0)
    for step in range(num_steps):
        expected = reference.step(step)
        for report in train_step(group, layout, StepId(0, step)).workers.values():
            for client, loss in report.discriminator_loss.items():
                losses = (loss, report.generator_loss[client])
                assert losses == pytest.approx(expected[client], rel=1e-4)
    for worker in layout.workers:
        for client, state in zip(
            worker.ids, group.workers[worker.worker].call_many("state", len(worker.ids)), strict=True
        ):
            assert_equal_blocks(state, reference.own[client])
    assert_equal_blocks(group.body.call("state"), reference.body)
    group.close()


def assert_equal_blocks(state: State, networks: dict) -> None:
    for (network, index), block in state.blocks.items():
        whole = networks[network][index].state_dict()
        for name, array in block.items():
            np.testing.assert_allclose(
                array, whole[name].numpy(), rtol=1e-4, atol=2e-6, err_msg=f"{network}.{index}.{name}"
            )


def checkpoint_arrays(run_path: Path, round_number: int) -> dict[str, np.ndarray]:
    folder = run_path / "checkpoints" / f"round-{round_number:04d}"
    files = sorted(folder.glob("*.safetensors"))
    assert len(files) == 6 + 1 + 2, "six clients, the body, two clusters"
    return {f"{file.name}/{name}": array for file in files for name, array in read_arrays(file).items()}


def assert_bit_identical(first: Path, second: Path) -> None:
    mine, other = checkpoint_arrays(first, 2), checkpoint_arrays(second, 2)
    assert mine.keys() == other.keys()
    different = [name for name in mine if mine[name].tobytes() != other[name].tobytes()]
    assert not different


@pytest.fixture(scope="module")
def in_process_run(tiny_settings: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plain sequential in_process: one client a worker, one step at a time."""
    ray_settings = tiny_settings["ray"] | {"clients_per_actor": 1, "steps_ahead": 1}
    config = make_config(tiny_settings | {"ray": ray_settings})
    return train(config, tmp_path_factory.mktemp("in_process") / "run", in_process=True).path


def test_the_same_seed_is_the_same_run(tiny_settings: dict, in_process_run: Path, tmp_path: Path) -> None:
    torch.manual_seed(99)  # the global generators do not matter
    np.random.seed(99)
    again = train(make_config(tiny_settings), tmp_path / "run", in_process=True)
    assert_bit_identical(in_process_run, again.path)


def test_another_seed_is_another_run(tiny_settings: dict, in_process_run: Path, tmp_path: Path) -> None:
    other = train(make_config(tiny_settings | {"seed": 1}), tmp_path / "run", in_process=True)
    name = "client-0000.safetensors/generator.0.linear.weight"
    assert not np.array_equal(
        checkpoint_arrays(in_process_run, 2)[name], checkpoint_arrays(other.path, 2)[name]
    )


@pytest.mark.parametrize(
    ("clients_per_actor", "steps_ahead"),
    [(1, 1), (2, 8)],
    ids=["one client each, one step at a time", "virtual clients, steps submitted ahead"],
)
def test_actors_and_twin_are_bit_identical(
    tiny_settings: dict, in_process_run: Path, tmp_path: Path, clients_per_actor: int, steps_ahead: int
) -> None:
    ray_settings = tiny_settings["ray"] | {"clients_per_actor": clients_per_actor, "steps_ahead": steps_ahead}
    ray_settings["address"] = "local"
    run = train(make_config(tiny_settings | {"ray": ray_settings}), tmp_path / "run")
    assert not ray.is_initialized(), "a Ray of our own ends with the run"
    assert_bit_identical(in_process_run, run.path)
