"""Local training: an independent few lines of torch, a dead client, skipped settings, an empty wire."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygan.api import train
from raygan.config.loading import make_config
from raygan.nn.network import build_networks
from raygan.report import write_report
from raygan.run.plan import make_plan
from raygan.runtime.in_process import InProcessBackend
from raygan.wire.records import StepId
from tests.algorithms.plain import assert_plain, plainly_trained
from tests.rounds import rounds_of
from tests.run.kills import FaultInjector, Injection, injector
from tests.run.test_faults import Injections
from tests.run.test_resume import arrays_of_round

__all__ = ["injector"]


@pytest.fixture(scope="module")
def algorithm() -> str:
    return "local"


@pytest.mark.parametrize(
    "training",
    [{}, {"lr": {"generator": 5e-4, "discriminator": 2e-4}}, {"r1": 2.0}],
    ids=["one rate", "two rates", "penalty"],
)
def test_a_round_is_plain_training_of_a_conditional_gan(settings: dict, training: dict) -> None:
    """Losses and Adam are torch's; images, labels and z are those of the client's own streams."""
    plan = make_plan(make_config(settings | {"training": settings["training"] | training}))
    backend = InProcessBackend(plan.algorithm.parties(), plan.config, lambda: pytest.fail("no scores"))
    worker = backend.workers[0]._party
    worker.begin_round(0)
    reports = [worker.train(StepId(0, number)) for number in range(3)]
    losses, networks = plainly_trained(plan, clients=[0], num_steps=3)
    for report, (of_d, of_g) in zip(reports, losses, strict=True):
        assert report.discriminator_loss[0] == pytest.approx(of_d, rel=1e-5)
        assert report.generator_loss[0] == pytest.approx(of_g, rel=1e-5)
    assert_plain({one.block: one.state for one in worker.networks()[: len(plan.algorithm.keys)]}, networks)
    backend.close()
    assert set(reports[0].statistics) == {
        "discriminator_real",
        "discriminator_fake",
        "discriminator_gradient_norm",
        "generator_gradient_norm",
    }


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


@pytest.mark.slow
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
