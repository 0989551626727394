"""FedGAN in clusters: the averages by hand, what is clustered, who is left out, its bytes; hierarchical FedGAN."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from raygan.api import train
from raygan.config.loading import make_config
from raygan.nn.network import build_networks
from raygan.parties.data_owner import Minibatch
from raygan.run.plan import make_plan
from raygan.whole.networks import WholeNetworks
from raygan.whole.observed import ObservedClients
from raygan.wire.records import AnchorMap, Lost
from tests.algorithms.test_fed_gan import models, trained
from tests.rounds import rounds_of

HELD = [32, 32, 32, 20, 20, 20]
ORACLE = {"count": "oracle", "warmup_rounds": 0}


@pytest.fixture(scope="module")
def algorithm() -> str:
    return "clustered_fed_gan"


@pytest.fixture(scope="module")
def unequal(settings: dict[str, Any]) -> dict[str, Any]:
    """The second domain's clients have fewer images."""
    first, second = settings["data"]["domains"]
    return settings | {"data": {"domains": [first, second | {"limit": 60}]}}


def mean(found: dict[str, dict[str, np.ndarray]], name: str, weights: dict[int, float]) -> np.ndarray:
    return sum(weight * found[f"model-{client}"][name].astype(np.float64) for client, weight in weights.items())


def assert_means(
    averages: dict[str, dict[str, np.ndarray]],
    alone: dict[str, dict[str, np.ndarray]],
    weights: dict[str, dict[int, float]],
) -> None:
    """Every model is the mean of what its clients trained by themselves."""
    assert averages.keys() == weights.keys()
    for model, of_clients in weights.items():
        for name, array in averages[model].items():
            expected = mean(alone, name, of_clients)
            np.testing.assert_allclose(array, expected, rtol=1e-6, atol=1e-6, err_msg=f"{model} {name}")


def cluster_files(path: Path, number: int) -> dict[str, dict[str, np.ndarray]]:
    from raygan.storage import read_arrays

    files = (path / "checkpoints" / f"round-{number:04d}").glob("cluster-*.safetensors")
    return {file.stem: read_arrays(file) for file in sorted(files)}


def test_a_round_is_each_clusters_mean_by_its_weights(unequal: dict, tmp_path: Path) -> None:
    """What each client trains by itself is `local`'s first round; the weights are in the run's file."""
    once = unequal | {"training": unequal["training"] | {"rounds": 1}}
    alone = models(trained(once, tmp_path, "local"), 1)
    path = trained(once | {"clusters": ORACLE | {"beta": 50.0}}, tmp_path, "clustered_fed_gan")
    (line,) = [json.loads(text) for text in (path / "clusters.jsonl").read_text().splitlines()]
    told = {int(client): entry for client, entry in line["clients"].items()}
    assert [told[client]["cluster"] for client in range(6)] == [0, 0, 0, 1, 1, 1]
    weights: dict[str, dict[int, float]] = {"cluster-0": {}, "cluster-1": {}}
    for client, entry in told.items():
        weights[f"cluster-{entry['cluster']}"][client] = entry["weight"]
    assert max(abs(weight - 1 / 3) for of_clients in weights.values() for weight in of_clients.values()) > 0.01
    assert_means(cluster_files(path, 1), alone, weights)


def test_now_and_then_the_average_is_over_all_clusters(unequal: dict, tmp_path: Path) -> None:
    """One run averages over all in its first round, the other inside the clusters; by numbers of images in both."""
    once = unequal | {"training": unequal["training"] | {"rounds": 1}, "clusters": ORACLE | {"beta": 50.0}}
    alone = models(trained({k: v for k, v in once.items() if k != "clusters"}, tmp_path, "local"), 1)
    everybody = {client: held / sum(HELD) for client, held in enumerate(HELD)}
    over_all = trained(once, tmp_path / "all", "hierarchical", global_every=1)
    assert_means(cluster_files(over_all, 1), alone, {"cluster-0": everybody, "cluster-1": everybody})
    inside = trained(once, tmp_path / "inside", "hierarchical", global_every=2)
    third = {"cluster-0": dict.fromkeys(range(3), 1 / 3), "cluster-1": dict.fromkeys(range(3, 6), 1 / 3)}
    assert_means(cluster_files(inside, 1), alone, third)


def test_the_maps_are_means_over_the_last_real_minibatches(settings: dict) -> None:
    """The anchor's output on reals, by the discriminator as it was before each step, from plain torch."""
    plan = make_plan(make_config(settings))
    spec = plan.layout.spec
    networks = WholeNetworks(build_networks(spec, None, 3), plan.config.training)
    networks.discriminator.observe(2)
    assert networks.discriminator.anchor_map is None
    expected = []
    for step in range(3):
        random = torch.Generator().manual_seed(step)
        images = torch.randn(4, spec.channels, spec.image_size, spec.image_size, generator=random)
        labels, z = torch.arange(4) % spec.num_classes, torch.randn(4, spec.latent_size, generator=random)
        blocks = [copy.deepcopy(block) for (name, _), block in networks.blocks.items() if name == "discriminator"]
        with torch.no_grad():
            expected.append(blocks[2](blocks[1](blocks[0](images, labels))).mean(0))
        networks.step(Minibatch(images, labels, z))
    found = networks.discriminator.anchor_map
    assert found is not None
    np.testing.assert_allclose(found, torch.stack(expected[1:]).mean(0).numpy(), rtol=1e-5, atol=1e-6)


def test_who_took_no_part_has_no_map(settings: dict) -> None:
    plan = make_plan(make_config(settings))
    worker = ObservedClients(plan.layout.workers[0], plan.layout.spec, plan.config)
    first, *others = plan.layout.workers[0].ids
    from raygan.wire.records import StepId

    worker.begin_round(0)
    worker.train(StepId(0, 0))
    assert all(isinstance(one, AnchorMap) for one in worker.anchor_maps())
    worker.begin_round(1, [first])
    worker.train(StepId(1, 0))
    mine, *theirs = worker.anchor_maps()
    assert isinstance(mine, AnchorMap)
    assert mine.client == first
    assert len(theirs) == len(others)
    assert all(isinstance(one, Lost) for one in theirs), "of the round before"


@pytest.mark.parametrize(("name", "keys"), [("clustered_fed_gan", {}), ("hierarchical", {"global_every": 2})])
def test_its_bytes_are_both_networks_up_and_down_and_a_map_up(
    settings: dict, tmp_path: Path, name: str, keys: dict
) -> None:
    """4 (|G| + |D| + buffers) each way and client; 4 C H W of the anchor once up. A global round costs no more."""
    short = settings | {"training": settings["training"] | {"rounds": 2}}
    path = trained(short, tmp_path, name, **keys)
    spec = make_plan(make_config(settings)).layout.spec
    networks = build_networks(spec, None, 0)
    size = sum(x.numel() * x.element_size() for b in networks.blocks.values() for x in b.state_dict().values())
    first, second, third, *_ = networks.discriminator
    image = torch.zeros(2, spec.channels, spec.image_size, spec.image_size)
    floats = third(second(first(image, torch.zeros(2, dtype=torch.int64))))[0].numel()
    for line in rounds_of(path):
        assert line["links"]["client -> aggregator"] == {
            "State": {"records": 6, "bytes": 6 * size},
            "AnchorMap": {"records": 6, "bytes": 6 * 4 * floats},
        }
        assert line["links"]["aggregator -> client"]["BlockAverage"]["bytes"] == 6 * size


def test_the_method_itself_with_the_true_domains(tiny_settings: dict, tmp_path: Path) -> None:
    changed = tiny_settings | {
        "clusters": {"count": "oracle", "warmup_rounds": 1},
        "training": tiny_settings["training"] | {"rounds": 2},
    }
    rounds = rounds_of(train(make_config(changed), tmp_path / "run", in_process=True).path)
    assert [line["clusters"] for line in rounds] == [1, 2]
    assert rounds[1]["cluster_agreement"] == 1
