from __future__ import annotations

import pytest

from raygan.bench.settings import AS_CONFIGURED, BenchOptions, bench_config, long_rounds, mixed_cuts, parse_cuts
from raygan.config import Config
from raygan.config.loading import make_config
from raygan.errors import InputError
from raygan.run.plan import make_plan


def test_cuts_are_pairs_of_generator_and_discriminator() -> None:
    assert parse_cuts("0,1/1,0 1,1/0,0") == (((0, 1), (1, 0)), ((1, 1), (0, 0)))


def test_mixed_cuts_are_all_that_the_networks_have() -> None:
    paper = (((0, 0), (0, 0)), ((0, 1), (1, 0)), ((1, 0), (0, 1)), ((1, 1), (1, 1)))
    assert mixed_cuts(Config()) == paper
    residual = mixed_cuts(make_config({"model": {"networks": "residual", "image_size": 32}}))
    assert residual == (((0, 0), (0, 0)), ((0, 1), (0, 1)), ((0, 2), (0, 2))), "anchor 1 of five blocks"


@pytest.mark.parametrize("text", ["", "0,1", "0,1/1,0;1,1/0,0", "every"])
def test_what_is_no_list_of_cuts_is_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"--cuts: .* is no list of cuts; give planned, mixed, or pairs"):
        parse_cuts(text)


@pytest.mark.parametrize("seconds", [float("nan"), float("inf")])
def test_a_slice_takes_a_time(seconds: float) -> None:
    with pytest.raises(InputError, match=rf"--seconds: {seconds} is no time; give seconds"):
        bench_config(Config(), BenchOptions(seconds=seconds))


def test_options_reach_the_configuration() -> None:
    options = BenchOptions(clients=5, batch_size=4, width=0.125, cuts="0,0/0,0 1,1/1,1", clients_per_actor=2)
    config = bench_config(Config(), options)
    assert [domain.clients for domain in config.data.domains] == [3, 2]
    assert (config.training.batch_size, config.model.width) == (4, 0.125)
    assert config.ray.clients_per_actor == 2
    cuts = [(plan.generator_cut, plan.discriminator_cut) for plan in make_plan(config).layout.clients]
    assert cuts == [((0, 0), (0, 0)), ((1, 1), (1, 1))] * 2 + [((0, 0), (0, 0))]


def test_without_options_the_configuration_stays() -> None:
    config = make_config({"training": {"batch_size": 48}, "devices": {"fleet": ["workstation"]}})
    assert bench_config(config, AS_CONFIGURED) == config


def test_fewer_clients_than_domains_use_the_first() -> None:
    config = bench_config(make_config({"clusters": {"count": 2}}), BenchOptions(clients=1))
    assert [domain.name for domain in config.data.domains] == ["demo_mnist"]
    assert config.clusters.count == 1


def test_a_share_of_the_clients_does_not_stand_in_the_way_of_fewer() -> None:
    half = make_config({"training": {"participation": 0.5}, "clusters": {"count": 3}})
    assert bench_config(half, BenchOptions(clients=4)).clusters.count == 3


def test_a_measured_round_is_long_enough_for_every_client() -> None:
    """40 images are five batches of 8, so 64 steps take 13 epochs."""
    config = make_config({"training": {"batch_size": 8}})
    assert long_rounds(config, [400, 40]).training.local_epochs == 13
    assert long_rounds(config, [5]).training.local_epochs == 64
