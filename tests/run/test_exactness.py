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
from raygan.cuts import valid_cuts
from raygan.run.plan import Plan, make_plan
from raygan.wire.records import StepId
from tests.checkpoint_files import checkpoint_states
from tests.federations import in_process
from tests.run.reference import Reference, assert_equal_blocks

CUTS = valid_cuts(5, anchor=2)


@pytest.mark.parametrize(("generator", "discriminator"), list(itertools.product(CUTS, CUTS)))
def test_one_client_split_anywhere_equals_the_unsplit_networks(
    tiny_settings: dict, generator: tuple, discriminator: tuple
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
    equals_the_reference(make_plan(make_config(settings)), num_steps=5)


@pytest.mark.parametrize("clients_per_actor", [1, 2])
def test_clients_with_different_cuts_equal_one_graph_over_merged_batches(
    tiny_settings: dict, clients_per_actor: int
) -> None:
    ray_settings = tiny_settings["ray"] | {"clients_per_actor": clients_per_actor}
    plan = make_plan(make_config(tiny_settings | {"ray": ray_settings}))
    equals_the_reference(plan, num_steps=3)


def test_each_network_has_a_learning_rate_of_its_own(tiny_settings: dict) -> None:
    training = tiny_settings["training"] | {"lr": {"generator": 1e-3, "discriminator": 2e-4}}
    equals_the_reference(make_plan(make_config(tiny_settings | {"training": training})), num_steps=3)


@pytest.mark.parametrize("networks", ["projection", "plane_projection"])
def test_networks_whose_discriminator_ends_with_the_label(tiny_settings: dict, networks: str) -> None:
    model = tiny_settings["model"] | {"networks": networks}
    equals_the_reference(make_plan(make_config(tiny_settings | {"model": model})), num_steps=2)


def test_everything_that_the_discriminator_sees_is_augmented_alike(tiny_settings: dict) -> None:
    """Each client's fakes and reals, in both updates; labels of fakes are drawn from its classes."""
    extra = {"augment": ["colour", "translation", "cutout"], "fake_labels": "even"}
    training = tiny_settings["training"] | extra
    equals_the_reference(make_plan(make_config(tiny_settings | {"training": training})), num_steps=2)


@pytest.mark.parametrize("spectral_norm", [False, True])
def test_residual_networks_of_five_blocks(tiny_settings: dict, spectral_norm: bool) -> None:
    """Five blocks each, anchors 1, and every cut that these leave. With this seed no gradient is so small that rounding
    decides what Adam makes of it."""
    cuts = {
        "small": {"generator": [0, 0], "discriminator": [0, 1]},
        "medium": {"generator": [0, 1], "discriminator": [0, 0]},
        "large": {"generator": [0, 2], "discriminator": [0, 2]},
    }
    model = {
        "width": 0.0625,
        "image_size": 32,
        "latent_size": 8,
        "networks": "residual",
        "spectral_norm": spectral_norm,
    }
    changed = {"seed": 1, "model": model, "cuts": {"solver": "fixed", "fixed": cuts}}
    equals_the_reference(make_plan(make_config(tiny_settings | changed)), num_steps=2)


def test_the_relativistic_loss_compares_with_the_reals_of_the_update_before(tiny_settings: dict) -> None:
    """It does not know D's last bias, which rounding moves: that makes up to 5e-4 of a logit in a step."""
    training = tiny_settings["training"] | {"loss": "relativistic"}
    plan = make_plan(make_config(tiny_settings | {"training": training}))
    started = in_process(plan)
    reference = Reference(started.layout, plan.config)
    started.begin_round(0)
    for step in range(3):
        expected = reference.step(step)
        for report in started.reports(StepId(0, step)):
            for client, loss in report.discriminator_loss.items():
                losses = (loss, report.generator_loss[client])
                assert losses == pytest.approx(expected[client], abs=3e-3)
    started.close()


def test_a_rounds_learning_rates_follow_the_schedule(tiny_settings: dict) -> None:
    """Linear over two rounds: the whole rate, then half of it, at every end."""
    training = tiny_settings["training"] | {"lr_schedule": "linear", "lr": {"generator": 4e-4, "discriminator": 2e-4}}
    started = in_process(make_plan(make_config(tiny_settings | {"training": training})))
    for number, share in ((0, 1.0), (1, 0.5)):
        started.begin_round(number)
        client, body = started.party_of(1)._clients[1], started.backend.servers[0]._party
        for network, lr in (("generator", 4e-4), ("discriminator", 2e-4)):
            for optimizer in (client.ends(network).optimizer, body._trunks[0]._optimizers[network]):
                assert [group["lr"] for group in optimizer.param_groups] == [lr * share]
    started.close()


@pytest.mark.slow
def test_actors_compute_what_one_process_computes_whatever_is_chosen(
    small_ray: None, tiny_settings: dict, tmp_path: Path
) -> None:
    """Networks, loss, transforms, labels and rates other than the paper's."""
    options = {"loss": "relativistic", "augment": ["colour", "translation", "cutout"], "fake_labels": "even"}
    model = {"networks": "residual", "spectral_norm": True, "width": 0.0625, "image_size": 16, "latent_size": 8}
    changed = {
        "training": tiny_settings["training"] | options | {"lr_schedule": "cosine"},
        "model": model,
        "cuts": {"solver": "exact"},
    }
    config = make_config(tiny_settings | changed)
    runs = [train(config, tmp_path / name, in_process=name == "here").path for name in ("here", "actors")]
    assert_bit_identical(*runs)


def equals_the_reference(plan: Plan, num_steps: int) -> None:
    """Losses of every step, then every parameter and BatchNorm buffer of clients and body."""
    started = in_process(plan)
    reference = Reference(started.layout, plan.config)
    started.begin_round(0)
    for step in range(num_steps):
        expected = reference.step(step)
        reports = started.reports(StepId(0, step))
        for report in reports:
            for client, loss in report.discriminator_loss.items():
                losses = (loss, report.generator_loss[client])
                assert losses == pytest.approx(expected[client], rel=1e-4)
    states = started.states()
    assert states.keys() == reference.own.keys()
    for client, state in states.items():
        assert_equal_blocks(state, reference.own[client])
    assert_equal_blocks(started.body_state(), reference.body)
    started.close()


def checkpoint_arrays(run_path: Path, round_number: int) -> dict[str, np.ndarray]:
    folder = run_path / "checkpoints" / f"round-{round_number:04d}"
    states = checkpoint_states(folder)
    assert len({name.partition("/")[0] for name in states}) == 6 + 1 + 2, "six clients, the body, two clusters"
    return states


def assert_bit_identical(first: Path, second: Path) -> None:
    mine, other = checkpoint_arrays(first, 2), checkpoint_arrays(second, 2)
    assert mine.keys() == other.keys()
    different = [name for name in mine if mine[name].tobytes() != other[name].tobytes()]
    assert not different


@pytest.fixture(scope="module")
def tiny_settings(tiny_settings: dict) -> dict:
    """With a moving average of G's weights, which no other number depends on."""
    return tiny_settings | {"training": tiny_settings["training"] | {"average": {"half_life_images": 32}}}


@pytest.fixture(scope="module")
def in_process_run(tiny_settings: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The plain sequential run: one client a worker, one step at a time."""
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
    name = "client-0/generator.0.linear.weight"
    assert not np.array_equal(checkpoint_arrays(in_process_run, 2)[name], checkpoint_arrays(other.path, 2)[name])


@pytest.mark.parametrize(
    ("clients_per_actor", "steps_ahead"),
    [
        pytest.param(1, 1, id="one client each, one step at a time", marks=pytest.mark.slow),
        pytest.param(2, 8, id="virtual clients, steps submitted ahead"),
    ],
)
def test_actors_and_one_process_are_bit_identical(
    tiny_settings: dict, in_process_run: Path, tmp_path: Path, clients_per_actor: int, steps_ahead: int
) -> None:
    ray_settings = tiny_settings["ray"] | {"clients_per_actor": clients_per_actor, "steps_ahead": steps_ahead}
    ray_settings["address"] = "local"
    run = train(make_config(tiny_settings | {"ray": ray_settings}), tmp_path / "run")
    assert not ray.is_initialized(), "a Ray of our own ends with the run"
    assert_bit_identical(in_process_run, run.path)
