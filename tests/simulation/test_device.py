"""Which device is used, which share of a GPU is asked for, and that the way over a GPU's memory loses nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import ray
import torch

from raygan.api import train
from raygan.config import Config
from raygan.config.loading import make_config
from raygan.errors import ConfigError
from raygan.names import Codec
from raygan.run.plan import make_plan
from raygan.runtime.ray import actors
from raygan.runtime.ray.demand import demands
from raygan.simulation.device import check_device, gpu_shares, pick_device
from raygan.wire import codec as wire_codec
from raygan.wire.codec import decode, encode
from raygan.wire.records import CODECS, Encoded
from tests.conftest import DEVICES

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def settings(**keys: object) -> Config:
    return make_config({"ray": keys})


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch):
    """Lets torch see so many GPUs."""

    def see(count: int) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)

    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    return see


@pytest.mark.parametrize(
    ("device", "there", "has_gpu", "picked"),
    [
        ("auto", 1, True, CUDA),
        ("auto", 1, False, CPU),
        ("auto", 0, True, CPU),
        ("cpu", 1, True, CPU),
        ("cuda", 1, True, CUDA),
    ],
)
def test_a_gpu_is_used_where_one_is_given(gpus, device: str, there: int, has_gpu: bool, picked) -> None:
    gpus(there)
    assert pick_device(settings(device=device), "the body", has_gpu) == picked
    assert torch.backends.cudnn.deterministic == (picked == CUDA)


@pytest.mark.parametrize(("there", "has_gpu", "found"), [(0, True, "finds no GPU"), (1, False, "was given no GPU")])
def test_cuda_is_a_gpu_or_nothing(gpus, there: int, has_gpu: bool, found: str) -> None:
    gpus(there)
    with pytest.raises(ConfigError, match=f"ray.device: cuda, but the body {found}; set it to auto or cpu"):
        pick_device(settings(device="cuda"), "the body", has_gpu)


def test_only_this_machines_gpus_are_missed_before_the_actors_start(gpus) -> None:
    gpus(0)
    check_device(settings(device="cuda", address="10.0.0.1:6379"))
    with pytest.raises(ConfigError, match="this machine finds no GPU"):
        check_device(settings(device="cuda"))


def test_direct_transport_goes_between_gpus_or_between_cpus(gpus, monkeypatch: pytest.MonkeyPatch) -> None:
    gpus(1)
    monkeypatch.setattr("raygan.simulation.device.find_spec", lambda name: name)
    with pytest.raises(ConfigError, match=r"ray.transport: direct, but GPUs for some actors and none for others"):
        check_device(settings(transport="direct", body_gpus=0.5))
    check_device(settings(transport="direct"))
    check_device(settings(transport="direct", body_gpus=0.5, device="cpu"))


def test_direct_transport_without_its_library_is_found_before_the_actors_start(
    gpus, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpus(0)
    monkeypatch.setattr("raygan.simulation.device.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"ray.transport: direct, but nixl is not installed here; install raygan"):
        check_device(settings(transport="direct"))
    check_device(settings(transport="direct", address="10.0.0.1:6379"))


@pytest.mark.parametrize(
    ("num_gpus", "actors", "share"), [(0, 4, 0), (1, 1, 1), (1, 4, 0.2499), (2, 5, 0.3333), (8, 5, 1)]
)
def test_one_machines_gpus_are_shared_evenly(gpus, num_gpus: int, actors: int, share: float) -> None:
    gpus(num_gpus)
    assert gpu_shares(settings(), ["jetson_nano"] * (actors - 1)) == (share, [share] * (actors - 1))


def test_what_is_named_is_taken_as_it_is(gpus) -> None:
    gpus(1)
    fleet = {"fleet": ["small"], "profiles": {"small": DEVICES["small"] | {"num_gpus": 0.25}}}
    config = make_config({"devices": fleet})
    assert gpu_shares(config, ["small", "small"]) == (0, [0.25, 0.25])
    assert gpu_shares(settings(body_gpus=0.5), ["jetson_nano"]) == (0.5, [0])
    assert gpu_shares(settings(address="auto"), ["jetson_nano"]) == (0, [0]), "a cluster's nodes differ"
    assert gpu_shares(make_config({"devices": fleet, "ray": {"device": "cpu", "body_gpus": 1}}), ["small"]) == (0, [0])


def test_the_actors_ask_for_their_shares(gpus, tiny_settings: dict) -> None:
    gpus(1)
    plan = make_plan(make_config(tiny_settings | {"ray": {"clients_per_actor": 2}}))
    asked = demands(plan.algorithm.parties(), plan.config)
    assert [demand.num_gpus for demand in (*asked["server"], *asked["client"])] == [0.2499] * 4
    assert asked["evaluator"][0].num_gpus == 0


def test_an_actor_without_the_gpu_that_it_must_have_says_so(small_ray: None, tiny_settings: dict) -> None:
    (spec,) = make_plan(make_config(tiny_settings)).algorithm.parties().servers
    on_gpu = make_config(tiny_settings | {"ray": {"device": "cuda"}})
    body = ray.remote(num_cpus=0)(actors.ServerActor).remote(spec, on_gpu)
    fault, _ = ray.get(body.ready.remote([]))
    assert str(fault).startswith("ray.device: cuda, but body was given no GPU")


@pytest.mark.parametrize("codec", CODECS)
def test_the_way_over_pinned_memory_is_the_way_without_it(monkeypatch: pytest.MonkeyPatch, codec: Codec) -> None:
    tensors = [torch.randn(3, 4), 100 * torch.randn(2, 5, 2), torch.randn(4, 6)[1:3]]
    direct = encode(tensors, codec)
    waits: list[torch.device] = []
    monkeypatch.setattr(wire_codec, "CPU", torch.device("meta"))  # so that every tensor is on another device
    monkeypatch.setattr(wire_codec, "_pinned", torch.empty_like)
    monkeypatch.setattr(wire_codec, "_wait", waits.append)
    staged = encode(tensors, codec)
    assert waits == [CPU]
    for mine, other, tensor in zip(staged, direct, tensors, strict=True):
        if isinstance(mine, Encoded) and isinstance(other, Encoded):
            assert mine.scale == other.scale
            mine, other = mine.payload, other.payload
        assert isinstance(mine, np.ndarray)
        assert np.array_equal(mine, other)
        assert not np.shares_memory(mine, tensor.numpy())


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("codec", CODECS)
def test_a_gpu_learns_what_a_cpu_learns(tiny_settings: dict, tmp_path: Path, codec: str) -> None:
    runs = [
        train(
            make_config(tiny_settings | {"wire": {"codec": codec}, "ray": {"device": device}}),
            tmp_path / device,
            in_process=True,
        )
        for device in ("cpu", "cuda")
    ]
    cpu, cuda = (run.metrics for run in runs)
    for column in ("discriminator_loss", "generator_loss"):
        assert cuda[column].tolist() == pytest.approx(cpu[column].tolist(), rel=0.02)
    assert cuda["bytes_up"].tolist() == cpu["bytes_up"].tolist()


@pytest.mark.slow
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("codec", CODECS)
def test_what_a_gpu_encodes_is_what_a_cpu_encodes(codec: Codec) -> None:
    tensors = [torch.randn(8, 16), 1e-6 * torch.randn(4, 3, 5, 5)]
    for mine, other in zip(encode([x.cuda() for x in tensors], codec), encode(tensors, codec), strict=True):
        assert torch.allclose(decode(mine), decode(other), rtol=1e-6)
        assert decode(mine, CUDA).device.type == "cuda"
        assert torch.equal(decode(mine, CUDA).cpu(), decode(mine))
