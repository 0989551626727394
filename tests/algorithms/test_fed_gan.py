"""FedGAN: the average by hand, one client alone, averaging each step against merged minibatches, its bytes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from raygan import nn as raygan_nn
from raygan.api import train
from raygan.config.loading import make_config
from raygan.errors import ConfigError
from raygan.nn import trained as nn_trained
from raygan.nn.network import build_networks
from raygan.nn.spec import NetworkSpec
from raygan.randomness import torch_seed
from raygan.run.plan import make_plan
from raygan.storage import read_arrays
from tests.rounds import rounds_of


@pytest.fixture(scope="module")
def algorithm() -> str:
    return "fed_gan"


def models(path: Path, number: int) -> dict[str, dict[str, np.ndarray]]:
    """Model -> its arrays, of a checkpoint."""
    files = (path / "checkpoints" / f"round-{number:04d}").glob("model-*.safetensors")
    return {file.stem: read_arrays(file) for file in sorted(files)}


def trained(settings: dict[str, Any], path: Path, algorithm: str, **keys: Any) -> Path:
    changed = settings | {"algorithm": algorithm} | ({algorithm: keys} if keys else {})
    return train(make_config(changed), path / algorithm, in_process=True).path


def test_a_round_is_the_clients_mean_by_their_images(settings: dict, tmp_path: Path) -> None:
    """What each client trains by itself is `local`'s first round; the mean is numpy's."""
    first, second = settings["data"]["domains"]
    unequal = settings | {
        "data": {"domains": [first, second | {"limit": 60}]},
        "training": settings["training"] | {"rounds": 1},
    }
    alone = models(trained(unequal, tmp_path, "local"), 1)
    (together,) = models(trained(unequal, tmp_path, "fed_gan"), 1).values()
    held = np.array([32, 32, 32, 20, 20, 20])
    for name, array in together.items():
        expected = np.average(np.stack([alone[f"model-{client}"][name] for client in range(6)]), axis=0, weights=held)
        np.testing.assert_allclose(array, expected, rtol=1e-6, atol=1e-7, err_msg=name)


def test_one_client_makes_local_fed_gan_and_central_equal(settings: dict, tmp_path: Path) -> None:
    alone = settings | {
        "data": {"domains": [settings["data"]["domains"][0] | {"clients": 1}]},
        "training": settings["training"] | {"rounds": 2},
    }
    runs = [
        trained(alone, tmp_path, "local"),
        trained(alone, tmp_path, "fed_gan", sync_every=1),
        trained(alone, tmp_path, "central", by="all"),
    ]
    (first,), *others = [list(models(run, 2).values()) for run in runs]
    for (other,) in others:
        assert first.keys() == other.keys()
        assert all(np.array_equal(first[name], other[name]) for name in first)


class Convolution(nn.Module):
    """A block without BatchNorm."""

    def __init__(self, *layers: nn.Module, label_plane: bool = False) -> None:
        super().__init__()
        self.layers, self.label_plane = nn.Sequential(*layers), label_plane

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        if labels is not None and self.label_plane:
            x = torch.cat([x, labels.float().view(-1, 1, 1, 1).expand(-1, 1, *x.shape[2:])], dim=1)
        y: Tensor = self.layers(x)
        return y.flatten() if y.ndim == 2 and y.shape[1] == 1 else y


def without_batch_norm(spec: NetworkSpec) -> raygan_nn.Networks:
    """Small networks of three blocks."""
    side = spec.image_size
    generator = [
        Convolution(nn.Linear(spec.latent_size, side * side), nn.Unflatten(1, (1, side, side))),
        Convolution(nn.Conv2d(1, 4, 3, padding=1), nn.Tanh()),
        Convolution(nn.Conv2d(4, spec.channels, 3, padding=1), nn.Tanh()),
    ]
    discriminator = [
        Convolution(nn.Conv2d(spec.channels + 1, 4, 3, padding=1), nn.Tanh(), label_plane=True),
        Convolution(nn.Conv2d(4, 4, 3, padding=1), nn.Tanh()),
        Convolution(nn.Flatten(), nn.Linear(4 * side * side, 1)),
    ]
    return raygan_nn.Networks(generator, discriminator, 1, 1)


def sgd(blocks: Any, lr: float, betas: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD([p for block in blocks for p in block.parameters()], lr=lr)


def test_averaging_every_step_of_sgd_is_the_merged_minibatch(
    settings: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D's steps are linear in its gradient, so the mean of its steps is the step of the mean. G's gradient comes through
    a client's own new D instead of their mean, which matters in the square of the learning rate."""

    monkeypatch.setattr(nn_trained, "adam", sgd)
    plain = settings | {
        "model": settings["model"] | {"blocks": f"{__name__}:without_batch_norm"},
        "training": settings["training"] | {"rounds": 1, "lr": 1e-2},
    }
    (fed_gan,) = models(trained(plain, tmp_path, "fed_gan", sync_every=1), 1).values()
    (central,) = models(trained(plain, tmp_path, "central", by="all"), 1).values()
    (apart,) = models(trained(plain, tmp_path / "apart", "fed_gan"), 1).values()
    config = make_config(plain)
    seed = torch_seed(config.seed, "networks")
    built = build_networks(make_plan(config).layout.spec, f"{__name__}:without_batch_norm", seed)
    initial = {
        f"{network}.{index}.{name}": tensor.numpy()
        for (network, index), block in built.blocks.items()
        for name, tensor in block.state_dict().items()
    }
    assert fed_gan.keys() == central.keys() == initial.keys()

    def largest(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray], network: str) -> float:
        return max(float(np.abs(one[name] - other[name]).max()) for name in central if name.startswith(network))

    assert largest(fed_gan, central, "discriminator") < largest(apart, central, "discriminator") / 20
    assert largest(fed_gan, central, "discriminator") < largest(initial, central, "discriminator") / 1000
    assert largest(fed_gan, central, "generator") < largest(initial, central, "generator") / 20


@pytest.mark.parametrize(("network", "rate"), [("generator", 3.0), ("discriminator", 0.1)])
def test_averaging_every_step_of_sgd_is_exact_where_one_network_learns(
    settings: dict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, network: str, rate: float
) -> None:
    """The other's rate is 1e-30: all clients have the same of it, so the mean of the clients' steps is central's step."""
    monkeypatch.setattr(nn_trained, "adam", sgd)
    rates = dict.fromkeys(("generator", "discriminator"), 1e-30) | {network: rate}
    plain = settings | {
        "model": settings["model"] | {"blocks": f"{__name__}:without_batch_norm"},
        "training": settings["training"] | {"rounds": 1, "lr": rates},
    }
    (fed_gan,) = models(trained(plain, tmp_path, "fed_gan", sync_every=1), 1).values()
    (central,) = models(trained(plain, tmp_path, "central", by="all"), 1).values()
    (apart,) = models(trained(plain, tmp_path / "apart", "fed_gan"), 1).values()
    assert fed_gan.keys() == central.keys()
    for name, array in central.items():
        np.testing.assert_allclose(fed_gan[name], array, rtol=1e-5, atol=1e-6, err_msg=name)
    far = [np.abs(apart[name] - central[name]).max() for name in central if name.startswith(network)]
    assert max(far) > 1e-4, "averaging at the round's end alone is something else"


@pytest.mark.parametrize("average", [None, {"half_life_images": 40}], ids=["last", "average"])
def test_its_bytes_are_both_networks_up_and_down_a_sync(settings: dict, tmp_path: Path, average: dict | None) -> None:
    """Three steps a round and an average each second step: two syncs. 4 (|G| + |D| + buffers) each way and client; where
    G has a moving average, 4 (|G| + buffers) more, and 8 for each block's mass."""
    short = settings | {"training": settings["training"] | {"rounds": 2, "average": average}}
    path = trained(short, tmp_path, "fed_gan", sync_every=2)
    networks = build_networks(make_plan(make_config(settings)).layout.spec, None, 0)
    counted = [*networks.blocks.values(), *(networks.generator if average else ())]
    size = sum(x.numel() * x.element_size() for b in counted for x in b.state_dict().values())
    size += 8 * len(networks.generator) if average else 0
    num_blocks = len(counted)
    for line in rounds_of(path):
        sent, received = line["links"]["client -> aggregator"], line["links"]["aggregator -> client"]
        assert sent == {"State": {"records": 2 * 6, "bytes": 2 * 6 * size}}
        assert received == {"BlockAverage": {"records": 2 * 6 * num_blocks, "bytes": 2 * 6 * size}}


def test_keys_of_another_algorithm_are_refused(settings: dict) -> None:
    with pytest.raises(ConfigError, match="central: keys of another algorithm than fed_gan; set algorithm: central"):
        make_config(settings | {"central": {"by": "all"}})
    with pytest.raises(ConfigError, match=r"unknown name 'fedgan'; .*'fed_gan'"):
        make_config(settings | {"algorithm": "fedgan"})
