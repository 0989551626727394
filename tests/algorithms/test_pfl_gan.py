"""PFL-GAN-style: alone first, then with others' images; what crosses, once; who gave nothing; too few rounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from raygan.api import train
from raygan.config.loading import make_config
from raygan.errors import ConfigError
from raygan.nn.network import build_networks
from raygan.run.plan import make_plan
from raygan.storage import read_arrays
from raygan.whole.personal import PersonalClients
from raygan.whole.synthetic import SyntheticServer
from raygan.wire.records import Fakes, Lost, StepId
from tests.rounds import rounds_of

KEYS = {"local_rounds": 1, "synthetic_images": 12, "synthetic_share": 0.25}


@pytest.fixture(scope="module")
def algorithm() -> str:
    return "pfl_gan"


@pytest.fixture(scope="module")
def settings(settings: dict[str, Any]) -> dict[str, Any]:
    return settings | {"training": settings["training"] | {"rounds": 2}, "pfl_gan": KEYS}


def file(path: Path, round_number: int, name: str) -> dict[str, np.ndarray]:
    return read_arrays(path / "checkpoints" / f"round-{round_number:04d}" / f"{name}.safetensors")


def test_it_is_local_until_the_exchange(settings: dict, whole: Path, tmp_path: Path) -> None:
    alone = settings | {"algorithm": "local", "pfl_gan": None}
    local = train(make_config(alone), tmp_path / "local", in_process=True).path
    for client in range(6):
        model = f"model-{client}"
        first, second = ([file(path, number, model) for path in (whole, local)] for number in (1, 2))
        mine, theirs = first
        assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)
        mine, theirs = second
        assert any(not np.array_equal(mine[name], theirs[name]) for name in theirs), "others' images are in it"


def test_generators_go_up_and_images_come_once(settings: dict, whole: Path) -> None:
    """G up; 12 images of 144 floats and their labels down."""
    first, second = rounds_of(whole)
    networks = build_networks(make_plan(make_config(settings)).layout.spec, None, 0)
    size = sum(x.numel() * x.element_size() for b in networks.generator for x in b.state_dict().values())
    assert first["links"]["client -> server"] == {
        "ClassCounts": {"records": 6, "bytes": 6 * 4 * 8},
        "State": {"records": 6, "bytes": 6 * size},
    }
    assert first["links"]["server -> client"] == {"Fakes": {"records": 6, "bytes": 6 * 12 * (4 * 144 + 8)}}
    assert list(second["links"]) == ["client -> evaluator"]


def grey(client: int) -> tuple[np.ndarray, np.ndarray]:
    """Twelve images about one tenth of the client's number, of a class that follows from it."""
    noise = np.random.default_rng(client).normal(0, 0.01, (12, 1, 12, 12))
    return (client / 10 + noise).astype(np.float32), np.full(12, client % 4)


def test_a_clients_images_are_others(settings: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """Generators that make one grey each: nobody is sent its own."""
    config = make_config(settings)
    plan = make_plan(config)
    server = SyntheticServer(plan.layout, config)
    clients = [PersonalClients(worker, plan.layout.spec, config) for worker in plan.layout.workers]
    told, counts = [Lost("gone")] * 6, [Lost("gone")] * 6
    for worker in clients:
        for number, state, held in zip(worker.plan.ids, worker.generators(), worker.class_counts(), strict=True):
            told[number], counts[number] = state, held
    told[4] = Lost("gone")
    monkeypatch.setattr(server, "_made", lambda client, state, held: grey(client))
    records = server.mix(told, counts)
    for worker, record in zip(plan.layout.workers, records, strict=True):
        assert set(record.images) == set(worker.ids) - {4}
        for client, (images,) in record.images.items():
            greys = set(np.rint(10 * images.mean(axis=(1, 2, 3))).astype(int).tolist())
            assert client not in greys
            assert 4 not in greys, "who gave no generator is in no mixture"
            np.testing.assert_array_equal(np.rint(10 * images.mean(axis=(1, 2, 3))) % 4, record.labels[client][0])


def test_a_share_of_each_minibatch_is_synthetic(settings: dict) -> None:
    """A quarter of 8: the last two are white images of class 3."""
    config = make_config(settings)
    plan = make_plan(config)
    worker = PersonalClients(plan.layout.workers[0], plan.layout.spec, config)
    first, *_ = plan.layout.workers[0].ids
    worker.begin_round(1)
    own = worker._clients[first].minibatch(0)
    white = np.ones((5, 1, 12, 12), np.float32)
    assert worker.take_in(Fakes(StepId(0, 0), {first: (white,)}, {first: (np.full(5, 3),)})) is None
    worker.begin_round(1)
    mixed = worker._clients[first].minibatch(0)
    assert torch.equal(mixed.images[:6], own.images[:6])
    assert torch.equal(mixed.labels[:6], own.labels[:6])
    assert torch.equal(mixed.z, own.z)
    assert (mixed.images[6:] == 1).all()
    assert mixed.labels[6:].tolist() == [3, 3]
    kept = worker._clients[first].arrays()
    assert kept["synthetic.images"].dtype == np.uint8
    again = PersonalClients(plan.layout.workers[0], plan.layout.spec, config)
    again._clients[first].restore(kept)
    again.begin_round(1)
    assert torch.equal(again._clients[first].minibatch(0).images, mixed.images)


def test_too_few_rounds_are_refused(settings: dict) -> None:
    config = make_config(settings | {"pfl_gan": KEYS | {"local_rounds": 2}})
    with pytest.raises(ConfigError, match=r"pfl_gan.local_rounds: 2 local rounds of 2; lower it"):
        make_plan(config)
