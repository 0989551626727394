"""Clients' images, labels and z are searched for in every object that leaves a client, with several cuts and codecs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raygan.algorithms.huscf import split_plan
from raygan.api import train
from raygan.config.loading import make_config
from raygan.config.schema import Config
from raygan.errors import WireError
from raygan.parties.base import Party
from raygan.parties.spec import PartySpec
from raygan.run.plan import make_plan
from raygan.runtime.ray import actors
from raygan.split.worker import SplitClients
from raygan.wire.records import Activations, Gradients
from tests.conftest import CUTS
from tests.split.canaries import (
    NUM_CLASSES,
    Search,
    Tapped,
    secrets_of,
    serialized,
    tapped_workers,
    write_canaries,
)

NUM_STEPS = 2
FAR = {profile: {"generator": [1, 1], "discriminator": [1, 1]} for profile in CUTS}
NEAR = {profile: {"generator": [0, 0], "discriminator": [0, 0]} for profile in CUTS}


@pytest.fixture(scope="module")
def settings(tiny_settings: dict, tmp_path_factory: pytest.TempPathFactory) -> dict:
    """One round of two steps of 16 images a client."""
    folder = tmp_path_factory.mktemp("canaries")
    domains = [{"npz": str(write_canaries(folder / f"{n}.npz", n)), "clients": 3} for n in range(2)]
    return tiny_settings | {
        "data": {"domains": domains},
        "training": {"rounds": 1, "batch_size": 16},
        "evaluation": {"images": 16},
    }


def config_of(settings: dict, codec: str, cuts: dict, **data: Any) -> Config:
    return make_config(
        settings
        | {
            "wire": {"codec": codec},
            "cuts": {"solver": "fixed", "fixed": cuts},
            "data": settings["data"] | data,
        }
    )


def secrets(config: Config) -> dict[str, bytes]:
    return secrets_of(config, NUM_STEPS)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    return tapped_workers(monkeypatch)


@pytest.mark.parametrize(
    ("codec", "cuts"),
    [("float32", CUTS), ("float32", NEAR), ("bfloat16", FAR), ("float16", CUTS), ("int8", NEAR)],
    ids=["float32-mixed", "float32-near", "bfloat16-far", "float16-mixed", "int8-near"],
)
def test_nothing_private_leaves_a_client(
    settings: dict, sent: list[bytes], tmp_path: Path, codec: str, cuts: dict
) -> None:
    config = config_of(settings, codec, cuts)
    train(config, tmp_path / "run", in_process=True)
    search = Search(b"".join(sent))
    assert len(search) > 200_000
    assert search.found(secrets(config)) == []


@pytest.mark.slow
def test_nothing_private_leaves_a_client_actor(
    small_ray: None, settings: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bytes of what the actors really return and put into the object store."""
    monkeypatch.setattr(actors, "ClientActor", Tapped)
    config = config_of(settings, "float32", CUTS, root=str(tmp_path))
    run = train(config, tmp_path / "run")
    taps = sorted(tmp_path.glob("tap-*"))
    assert len(taps) == len(make_plan(config).layout.workers)
    kept = sorted((run.path / "checkpoints" / "round-0001").glob("client-*"))
    search = Search(b"".join(path.read_bytes() for path in [*taps, *kept]))
    assert len(search) > 200_000
    assert search.found(secrets(config)) == []


class Leak:
    """A client worker whose `generate` sends something of its first client's own in the place of the activation."""

    def __init__(self, what: str) -> None:
        self.what = what

    def __call__(self, worker: SplitClients, step: Any) -> Activations:
        honest = _generate(worker, step)
        client = next(number for number in honest.arrays)
        owner = worker._clients[client]
        images, labels = owner._reals.numpy(), owner._labels.numpy()
        stolen = {
            "images": images,
            "images as a flat activation": images.reshape(len(images), -1),
            "labels": labels,
            "labels as float": labels.astype(np.float32),
            "one-hot labels": np.eye(NUM_CLASSES, dtype=np.float32)[labels],
            "labels behind the activation": np.concatenate(
                [honest.arrays[client][0], np.resize(labels, (1, 16, 3, 3)).astype(np.float32)]
            ),
        }[self.what]
        return Activations(step, {**honest.arrays, client: (stolen,)})


_generate = SplitClients.generate
LEAKS = (
    "images", "images as a flat activation", "labels", "labels as float", "one-hot labels",
    "labels behind the activation",
)  # fmt: skip


@pytest.mark.parametrize("what", LEAKS)
def test_a_deliberate_leak_is_refused_and_the_search_would_have_found_it(
    settings: dict, sent: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    leak = Leak(what)
    monkeypatch.setattr(SplitClients, "generate", lambda worker, step: leak(worker, step))
    config = config_of(settings, "float32", NEAR)
    with pytest.raises(WireError, match=r"generate: client 0: .*; it was not sent|only float batches cross"):
        train(config, tmp_path / "run", in_process=True)
    record = leak(_first_worker(config), _step())
    found = Search(serialized(record)).found(secrets(config))
    assert found, "the search is not blind"


def _first_worker(config: Config) -> SplitClients:
    layout = split_plan(make_plan(config).algorithm).layout
    worker = SplitClients(layout.workers[0], layout, config)
    worker.begin_round(0)
    return worker


def _step() -> Any:
    from raygan.wire.records import StepId

    return StepId(0, 0)


class LeakyActor(actors.ClientActor):
    """A client actor that sends labels, as integers or dressed up as gradients."""

    def __init__(self, spec: PartySpec[Party], config: Config, again: bool = False) -> None:
        super().__init__(spec, config, again)
        worker = self._party
        assert isinstance(worker, SplitClients)

        def discriminator_loss(step: Any, message: Any) -> Gradients:
            honest = SplitClients.discriminator_loss(worker, step, message)
            labels = {n: worker._clients[n]._labels.numpy().astype(np.float32) for n in honest.arrays}
            return Gradients(step, {n: (labels[n], labels[n]) for n in honest.arrays})

        worker.discriminator_loss = discriminator_loss  # type: ignore[method-assign]


@pytest.mark.slow
def test_a_leaky_actor_is_refused(
    small_ray: None, settings: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(actors, "ClientActor", LeakyActor)
    refused = r"discriminator_loss: client \d: a tensor of shape \(16,\) at a cut where .*; it was not sent"
    with pytest.raises(WireError, match=refused):
        train(config_of(settings, "float32", CUTS), tmp_path / "run")
