"""Central training: merged minibatches against plain torch, one pair of networks a domain or for all, sites."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygan.api import train
from raygan.config.loading import make_config
from raygan.errors import ConfigError
from raygan.run.plan import make_plan
from raygan.runtime.in_process import InProcessBackend
from raygan.wire.records import StepId
from tests.algorithms.plain import assert_plain, plainly_trained
from tests.rounds import rounds_of


@pytest.fixture(scope="module")
def algorithm() -> str:
    return "central"


@pytest.mark.parametrize(("by", "clients"), [("domain", [[0, 1, 2], [3, 4, 5]]), ("all", [[0, 1, 2, 3, 4, 5]])])
def test_a_step_is_plain_training_on_the_merged_minibatches(settings: dict, by: str, clients: list[list[int]]) -> None:
    plan = make_plan(make_config(settings | {"central": {"by": by}}))
    assert [list(worker.ids) for worker in plan.layout.workers] == clients
    backend = InProcessBackend(plan.algorithm.parties(), plan.config, lambda: pytest.fail("no scores"))
    for number, mine in enumerate(clients):
        worker = backend.workers[number]._party
        worker.begin_round(0)
        reports = [worker.train(StepId(0, step)) for step in range(3)]
        losses, networks = plainly_trained(plan, mine, num_steps=3)
        for report, (of_d, of_g) in zip(reports, losses, strict=True):
            assert report.discriminator_loss == pytest.approx(dict.fromkeys(mine, of_d), rel=1e-5)
            assert report.generator_loss == pytest.approx(dict.fromkeys(mine, of_g), rel=1e-5)
            assert report.num_images == 8 * len(mine)
        assert_plain({one.block: one.state for one in worker.networks()}, networks)
    backend.close()


def test_what_is_known_of_it_needs_no_network(settings: dict, tmp_path: Path) -> None:
    """Nothing is sent but generators to be scored; images are read where they are pooled."""
    path = train(make_config(settings), tmp_path / "run", in_process=True).path
    for line in rounds_of(path):
        assert list(line["links"]) == ["client -> evaluator"]
        assert {len(domain["clusters"]) for domain in line["scores"].values()} == {1}


def test_data_on_different_sites_cannot_be_pooled(settings: dict) -> None:
    first, second = settings["data"]["domains"]
    sites = {"domains": [first | {"labels": {"site": "a"}}, second | {"labels": {"site": "b"}}]}
    apart = make_config(settings | {"data": sites})
    assert len(make_plan(apart).layout.workers) == 2, "each domain is one site's"
    with pytest.raises(ConfigError, match=r"central training of data on different sites; use central\.by: domain"):
        make_plan(make_config(settings | {"data": sites, "central": {"by": "all"}}))
