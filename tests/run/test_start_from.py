"""A run that begins with another's networks (`model.start_from`)."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import raygan
from raygan.config.loading import make_config
from raygan.errors import ConfigError, RunError
from raygan.nn.network import block_state
from raygan.nn.start import initial_networks
from raygan.run.plan import make_plan
from raygan.storage import block_states, read_arrays


@pytest.fixture(scope="module")
def first(two_clients: dict, tmp_path_factory: pytest.TempPathFactory) -> raygan.Run:
    """A run of one round and one model."""
    settings = two_clients | {"training": {"rounds": 1, "batch_size": 8}}
    return raygan.train(make_config(settings), tmp_path_factory.mktemp("start") / "first", in_process=True)


def started(two_clients: dict, path: Path | str, **more: object) -> raygan.Config:
    model = two_clients["model"] | {"start_from": str(path)}
    return make_config({**two_clients, "seed": 5, "training": {"rounds": 1, "batch_size": 8}, "model": model, **more})


@pytest.mark.parametrize("algorithm", ["huscf", "fed_gan", "md_gan"])
def test_every_party_begins_with_them(two_clients: dict, first: raygan.Run, algorithm: str) -> None:
    plan = make_plan(started(two_clients, first.path, algorithm=algorithm, clusters={}, md_gan=None))
    arrays = read_arrays(first.path / "checkpoints" / "round-0001" / "cluster-0.safetensors")
    networks = initial_networks(plan.layout.spec, plan.config)
    for name in ("generator", "discriminator"):
        for index, state in block_states(arrays, name).items():
            found = block_state(networks.blocks[name, index])
            assert all((found[key] == state[key]).all() for key in state), (name, index)


def test_a_run_goes_on_when_the_one_it_began_with_is_gone(two_clients: dict, first: raygan.Run, tmp_path: Path) -> None:
    source = shutil.copytree(first.path, tmp_path / "source")
    config = started(two_clients, source)
    once = raygan.train(config, tmp_path / "once", in_process=True)
    other = raygan.train(started(two_clients, source, seed=5), tmp_path / "other", in_process=True)
    unstarted = raygan.train(
        make_config({**two_clients, "seed": 5, "training": {"rounds": 1, "batch_size": 8}}),
        tmp_path / "unstarted",
        in_process=True,
    )
    losses = [run.metrics["generator_loss"].iloc[0] for run in (once, other, unstarted)]
    assert losses[0] == losses[1] != losses[2]
    shutil.rmtree(source)
    longer = raygan.resume(once.path, changes=["training.rounds=2"], in_process=True)
    assert len(longer.metrics) == 2


def test_what_cannot_be_begun_with(two_clients: dict, first: raygan.Run, tmp_path: Path) -> None:
    wider = two_clients["model"] | {"width": 0.125, "start_from": str(first.path)}
    with pytest.raises(
        ConfigError, match=r"model.start_from: .*cluster-0.safetensors has other networks than this run"
    ):
        make_plan(make_config(two_clients | {"model": wider}))
    with pytest.raises(RunError, match=r"nowhere: cannot be read"):
        make_plan(started(two_clients, tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match=r"model.start_from: .* has no round of a run that is kept; give the folder"):
        make_plan(started(two_clients, tmp_path))
