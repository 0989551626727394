"""Local training: an independent few lines of torch, both backends, a killed driver, a dead client, skipped settings."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from raygan.api import resume, train
from raygan.config.loading import make_config
from raygan.data import load_client
from raygan.nn.network import build_networks
from raygan.randomness import stream, torch_seed
from raygan.report import write_report
from raygan.run.plan import make_plan
from raygan.runtime.in_process import InProcessBackend
from raygan.wire.records import StepId
from tests.rounds import assert_same_training, rounds_of
from tests.run.kills import FaultInjector, Injection, injector
from tests.run.test_faults import Injections
from tests.run.test_resume import arrays_of_round

__all__ = ["injector"]

ROUNDING_ALONE = ("bias", "running_mean")
"""The gradient of a bias before BatchNorm is rounding, of which Adam makes whole steps; the mean follows the bias."""


@pytest.fixture(scope="module")
def settings(tiny_settings: dict) -> dict:
    """Four rounds of two actors with three clients each."""
    alone = {
        "algorithm": "local",
        "training": tiny_settings["training"] | {"rounds": 4},
        "ray": tiny_settings["ray"] | {"clients_per_actor": 3},
        "devices": tiny_settings["devices"] | {"fleet": ["small", "medium"]},
        "checkpoints": {"keep": None},
    }
    kept = {key: value for key, value in tiny_settings.items() if key not in ("clusters", "cuts")}
    return kept | alone


@pytest.fixture(scope="module")
def whole(settings: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(make_config(settings), tmp_path_factory.mktemp("whole") / "run", in_process=True).path


def test_a_round_is_plain_training_of_a_conditional_gan(settings: dict) -> None:
    """Losses and Adam are torch's; images, labels and z are those of the client's own streams."""
    plan = make_plan(make_config(settings))
    backend = InProcessBackend(plan.algorithm.parties(), plan.config, lambda: pytest.fail("no scores"))
    worker = backend.workers[0]._party
    worker.begin_round(0)
    reports = [worker.train(StepId(0, number)) for number in range(3)]
    found = {block.block: block.state for block in worker._clients[0].networks()}
    losses, statistics, networks = _plainly_trained(plan, client=0, num_steps=3)
    backend.close()
    for report, (of_d, of_g) in zip(reports, losses, strict=True):
        assert report.discriminator_loss[0] == pytest.approx(of_d, rel=1e-5)
        assert report.generator_loss[0] == pytest.approx(of_g, rel=1e-5)
    for name, blocks in networks.items():
        for index, block in enumerate(blocks):
            for part, tensor in block.state_dict().items():
                if not part.endswith(ROUNDING_ALONE):
                    np.testing.assert_allclose(
                        found[name, index][part],
                        tensor.numpy(),
                        rtol=1e-4,
                        atol=1e-5,
                        err_msg=f"{name} {index} {part}",
                    )
    one = worker._clients[0]
    worker.begin_round(1)
    told = one.step(0).statistics
    assert set(told) == set(statistics)


def _plainly_trained(plan, client: int, num_steps: int):  # type: ignore[no-untyped-def]
    config, spec = plan.config, plan.layout.spec
    data = load_client(plan.layout.clients[client].data)
    built = build_networks(spec, None, torch_seed(config.seed, "networks"))
    networks = {"generator": built.generator, "discriminator": built.discriminator}
    bce = torch.nn.functional.binary_cross_entropy_with_logits
    optimizers = {
        name: torch.optim.Adam(
            [p for block in blocks for p in block.parameters()],
            lr=config.training.lr,
            betas=config.training.betas,
        )
        for name, blocks in networks.items()
    }
    latent = torch.Generator().manual_seed(torch_seed(config.seed, "latent", 0, client))
    batches = data.epoch_batches(stream(config.seed, "batches", 0, client), config.training.batch_size)

    def run(name, *inputs):  # type: ignore[no-untyped-def]
        first, *rest = networks[name]
        x = first(*inputs)
        for block in rest:
            x = block(x)
        return x

    losses = []
    for batch in batches[:num_steps]:
        images, labels = (torch.from_numpy(x) for x in data.batch(batch))
        z = torch.randn(len(labels), spec.latent_size, generator=latent)
        fakes = run("generator", z, labels)
        of_fakes, of_reals = (run("discriminator", x, labels) for x in (fakes.detach(), images))
        d_loss = bce(of_fakes, torch.zeros_like(of_fakes)) + bce(of_reals, torch.ones_like(of_reals))
        optimizers["discriminator"].zero_grad()
        d_loss.backward()
        optimizers["discriminator"].step()
        logits = run("discriminator", fakes, labels)
        g_loss = bce(logits, torch.ones_like(logits))
        optimizers["generator"].zero_grad()
        g_loss.backward()
        optimizers["generator"].step()
        losses.append((d_loss.item(), g_loss.item()))
    names = (
        "discriminator_real",
        "discriminator_fake",
        "discriminator_gradient_norm",
        "generator_gradient_norm",
    )
    return losses, names, networks


def test_it_has_scores_statistics_models_and_a_report(whole: Path, settings: dict) -> None:
    lines = rounds_of(whole)
    assert [line["clients"] for line in lines] == [6] * 4
    for line in lines:
        for domain in line["scores"].values():
            assert domain["label_agreement"] is not None
            assert len(domain["clusters"]) == 3, "a model for each of its clients"
        assert 0 < line["statistics"]["discriminator_real"] < 1
        assert line["statistics"]["generator_gradient_norm"] > 0
        assert "clusters" not in line
        assert "client -> body" not in line["links"]
    page = write_report(whole).read_text()
    assert "discriminator real" not in page, "names are in the pictures"
    assert "Training statistics: mean over clients and steps" in page
    assert not (whole / "clusters.jsonl").exists()
    assert not (whole / "cuts.json").exists()


def test_clients_differ_and_nothing_is_shared(whole: Path) -> None:
    arrays = arrays_of_round(whole, 4)
    first = "generator.0.linear.weight"
    models = {name: value for name, value in arrays.items() if name.startswith("model-") and first in name}
    assert len(models) == 6
    assert len(set(models.values())) == 6


def test_actors_compute_the_same(small_ray: None, settings: dict, whole: Path, tmp_path: Path) -> None:
    run = train(make_config(settings), tmp_path / "run")
    assert arrays_of_round(run.path, 4) == arrays_of_round(whole, 4)
    assert_same_training(run.path, whole)


@pytest.mark.parametrize("how", ["in_process", pytest.param("driver", marks=pytest.mark.slow)])
def test_a_killed_run_goes_on(settings: dict, whole: Path, tmp_path: Path, how: str) -> None:
    """SIGKILL in the middle of the third round's checkpoint."""
    config, path = tmp_path / "config.yaml", tmp_path / "run"
    config.write_text(yaml.safe_dump(settings))
    command = [sys.executable, "-m", "tests.run.dying_driver", str(config), str(path), how]
    environment = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    assert subprocess.run(command, env=environment, timeout=300, check=False).returncode == -signal.SIGKILL
    assert resume(path, in_process=how == "in_process").ended
    assert arrays_of_round(path, 4) == arrays_of_round(whole, 4)
    assert_same_training(path, whole)


def test_a_dead_client_is_back_with_its_last_networks(
    small_ray: None, injector: FaultInjector, settings: dict, tmp_path: Path
) -> None:
    injections = Injections(injector, {1: Injection("client", "train", name="clients-01")})
    run = train(make_config(settings), tmp_path / "run", listener=injections)
    assert run.ended
    assert run.metrics["clients"].tolist() == [6, 3, 6, 6]
    assert run.metrics["lost"].tolist() == [0, 3, 0, 0]
    assert injections.told("clients-01", "was lost")


def test_settings_that_it_does_not_read_are_told(tiny_settings: dict, settings: dict) -> None:
    assert make_plan(make_config(settings)).warnings == ()
    asked = settings | {"clusters": {"count": 2}, "wire": {"codec": "int8"}}
    assert make_plan(make_config(asked)).warnings == (
        "clusters is skipped: algorithm local does not read it",
        "wire is skipped: algorithm local does not read it",
    )
    assert make_plan(make_config(tiny_settings)).warnings == ()


def test_its_wire_is_empty_but_for_models(settings: dict, whole: Path) -> None:
    """What leaves a client, once a scored round: its generator's blocks, float32, 5 of them and 6 clients."""
    plan = make_plan(make_config(settings))
    networks = build_networks(plan.layout.spec, None, 0)
    num_bytes = sum(x.numel() * x.element_size() for b in networks.generator for x in b.state_dict().values())
    for line in rounds_of(whole):
        sent = {"client -> evaluator": {"BlockAverage": {"records": 30, "bytes": 6 * num_bytes}}}
        assert line["links"] == sent
        assert line["bytes_up"] == line["bytes_down"] == 0
