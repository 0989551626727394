"""The split step is the unsplit step; the actors are the twin; the same seed is the same run."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
import ray
import torch

from raygan.actors.evaluator import EvaluatorPlan
from raygan.actors.local import LocalGroup
from raygan.config.loading import make_config
from raygan.messages import StepId
from raygan.nn.split import valid_cuts
from raygan.storage import read_arrays
from raygan.training import train
from raygan.training.plan import Plan, make_plan
from raygan.training.step import train_step
from tests.training.reference import Unsplit

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
    plan = make_plan(make_config(settings))
    group = local_group(plan, tmp_path)
    reference = Unsplit(plan.layout.clients[0], plan.layout.spec, plan.config)
    group.hosts[0].call("begin_round", 0)
    group.body.call("begin_round", 0)
    for step in range(5):
        report = train_step(group, plan.layout, StepId(0, step)).hosts[0]
        losses = report.discriminator_loss[0], report.generator_loss[0]
        assert losses == pytest.approx(reference.step(step), rel=1e-5)
    blocks = {**group.hosts[0].call_many("state", 1)[0].blocks, **group.body.call("state").blocks}
    for (network, index), state in blocks.items():
        whole = getattr(reference, network)[index].state_dict()
        for name, array in state.items():
            np.testing.assert_allclose(
                array, whole[name].numpy(), rtol=1e-4, atol=1e-6, err_msg=f"{network}.{index}.{name}"
            )
    group.close()


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
def twin_run(tiny_settings: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(make_config(tiny_settings), tmp_path_factory.mktemp("twin") / "run", twin=True).path


def test_the_same_seed_is_the_same_run(tiny_settings: dict, twin_run: Path, tmp_path: Path) -> None:
    torch.manual_seed(99)  # the global generators do not matter
    np.random.seed(99)
    again = train(make_config(tiny_settings), tmp_path / "run", twin=True)
    assert_bit_identical(twin_run, again.path)


def test_another_seed_is_another_run(tiny_settings: dict, twin_run: Path, tmp_path: Path) -> None:
    other = train(make_config(tiny_settings | {"seed": 1}), tmp_path / "run", twin=True)
    name = "client-0000.safetensors/generator.0.linear.weight"
    assert not np.array_equal(checkpoint_arrays(twin_run, 2)[name], checkpoint_arrays(other.path, 2)[name])


@pytest.mark.parametrize("clients_per_actor", [1, 2])
def test_actors_and_twin_are_bit_identical(
    tiny_settings: dict, twin_run: Path, tmp_path: Path, clients_per_actor: int
) -> None:
    ray_settings = tiny_settings["ray"] | {"clients_per_actor": clients_per_actor, "address": "local"}
    run = train(make_config(tiny_settings | {"ray": ray_settings}), tmp_path / "run")
    assert not ray.is_initialized(), "a Ray of our own ends with the run"
    assert_bit_identical(twin_run, run.path)
