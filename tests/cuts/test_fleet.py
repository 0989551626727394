"""What an iteration takes on a fleet, by hand: G of 6 + 12 and D of 3 + 6 FLOPs forward and back, three passes of D."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from raygan.algorithms import algorithm_of
from raygan.api import resume, train
from raygan.config.choices import ALGORITHMS
from raygan.config.loading import make_config
from raygan.cuts.cost import Device, NetworkCost, Server
from raygan.cuts.fleet import Fleet, FleetCost, too_small
from raygan.errors import ConfigError, CutError
from raygan.report import write_report
from raygan.run.plan import make_plan
from tests.rounds import forget_configuration

SLOW, FAST, SERVER = Device("slow", 2.0, 4.0), Device("fast", 10.0, 2.0), Server(9.0, 8.0)


@pytest.fixture
def fleet() -> Fleet:
    generator = NetworkCost([1, 2, 3], [2, 4, 6], [1, 1, 1], [10, 20, 30], [1, 2, 3])
    discriminator = NetworkCost([1, 1, 1], [2, 2, 2], [1, 1, 1], [1, 2, 3], [4, 4, 4])
    return Fleet(generator, discriminator, [SLOW, FAST, SLOW], SERVER)


def test_whole_networks_take_as_long_as_on_the_slowest_device(fleet: Fleet) -> None:
    """18 + 3 * 9 = 45 FLOPs at 2 a second. Memory: 4 * (60 + 6) + 6 + 12."""
    cost = fleet.whole()
    assert cost.iteration_s == 22.5
    assert cost.memory_bytes == {"slow": 282, "fast": 282}
    assert (cost.up_bytes_per_s, cost.down_bytes_per_s) == (2, 8)


def test_nobody_waits_for_who_sits_out(fleet: Fleet) -> None:
    """45 FLOPs at 10 a second; served, as below: 4 + (2 + 2.7 + 4). Their devices' needs are still known."""
    cost = fleet.whole().without([0, 2])
    assert (cost.iteration_s, cost.up_bytes_per_s, cost.down_bytes_per_s) == (4.5, 2, 8)
    assert cost.memory_bytes == {"slow": 282, "fast": 282}
    assert fleet.served(2, down_bytes=16, up_bytes=8).without([0, 2]).iteration_s == pytest.approx(12.7)
    assert fleet.whole().without([1]).up_bytes_per_s == 4
    assert fleet.central().without([0]) == fleet.central()


def test_in_one_place_the_server_does_everybodys_work(fleet: Fleet) -> None:
    """3 clients, 45 FLOPs each, at 9 a second."""
    cost = fleet.central()
    assert cost.iteration_s == 15
    assert cost.memory_bytes == {"slow": 0, "fast": 0}


def test_a_served_discriminator_waits_for_fakes_and_sends_gradients(fleet: Fleet) -> None:
    """Two batches of G: 2 * 18 / 9 = 4. Slow: 16 / 8 + 27 / 2 + 8 / 4 = 17.5; fast: 2 + 2.7 + 4."""
    cost = fleet.served(2, down_bytes=16, up_bytes=8)
    assert cost.iteration_s == 21.5
    assert cost.memory_bytes == {"slow": 4 * 6 + 12, "fast": 4 * 6 + 12}


def test_mixed_logits_are_a_second_round_trip(fleet: Fleet) -> None:
    """G: 18 / 9 = 2. First leg, slow: 16 / 8 + 21 / 2 + 2 / 4 = 13. Second, slow: 2 / 8 + 6 / 2 + 8 / 4 = 5.25; fast:
    0.25 + 0.6 + 4 = 4.85."""
    assert fleet.served(1, down_bytes=16, up_bytes=8, logit_bytes=2).iteration_s == 2 + 13 + 5.25


def test_split_clients_hold_heads_and_tails(fleet: Fleet) -> None:
    """With (0, 0) the first and the last block of both: 4 * (10 + 30) + 1 + 3 and 4 * (1 + 3) + 4 + 4."""
    cost = fleet.split(0.5, [((0, 0), (0, 0))] * 3)
    assert cost.iteration_s == 0.5
    assert cost.memory_bytes["slow"] == 164 + 24


def test_a_device_that_is_too_small_is_named() -> None:
    cost = FleetCost(1.0, {"slow": 282, "fast": 282}, 1.0, 1.0)
    assert too_small(cost, {"slow": None, "fast": 282}) == {}
    assert too_small(cost, {"slow": 281, "fast": None}) == {"slow": "282 bytes on it, it has 281"}


def test_clients_whose_device_is_too_small_sit_out_where_they_may(
    tiny_settings: dict[str, Any], tmp_path: Path
) -> None:
    kept = {key: value for key, value in tiny_settings.items() if key != "cuts"} | {"algorithm": "fed_gan"}
    profiles = kept["devices"]["profiles"]
    profiles = profiles | {"small": profiles["small"] | {"memory_bytes": 1}}
    devices = {"fleet": list(profiles), "profiles": profiles, "fits": "drop"}
    run = train(make_config(kept | {"devices": devices}), tmp_path / "run", in_process=True)
    plan = make_plan(run.config)
    small = [client.client for client in plan.layout.clients if client.profile == "small"]
    slow = profiles | {"small": profiles["small"] | {"flops_per_s": 1.0}}
    slowed = make_plan(make_config(kept | {"devices": devices | {"profiles": slow}}))
    assert slowed.documents["costs"] == plan.documents["costs"], "nobody waits for them"
    assert slowed.algorithm.cost.iteration_s > 1000 * slowed.cost.iteration_s
    assert small
    assert run.metrics["clients"].tolist() == [run.config.num_clients - len(small)] * len(run.metrics)
    everybody = {name: profile | {"memory_bytes": 1} for name, profile in profiles.items()}
    with pytest.raises(ConfigError, match="memory_bytes: fed_gan needs"):
        make_plan(make_config(kept | {"devices": devices | {"profiles": everybody}}))


@pytest.mark.parametrize("name", list(ALGORITHMS))
def test_every_algorithm_says_what_it_costs(tiny_settings: dict[str, Any], name: str) -> None:
    plan = make_plan(make_config(tiny_settings | {"algorithm": name}))
    costs = plan.documents["costs"]
    assert costs["iteration_s"] > 0
    assert set(costs["memory_bytes"]) == {"small", "medium", "large"}
    assert (max(costs["memory_bytes"].values()) == 0) == (name == "central")
    assert algorithm_of(name).name == name


def test_the_split_is_what_a_small_device_can_hold_and_whole_networks_are_not(tiny_settings: dict[str, Any]) -> None:
    """By the model: a device that holds a client's heads and tails, and by far not both networks."""
    needs = {name: _needs(tiny_settings, name) for name in ("huscf", "md_gan", "fed_gan")}
    assert needs["huscf"] < needs["md_gan"] < needs["fed_gan"]
    limit = int(needs["huscf"] + needs["md_gan"]) // 2
    small = tiny_settings["devices"]["profiles"]["small"] | {"memory_bytes": limit}
    devices = tiny_settings["devices"] | {"profiles": tiny_settings["devices"]["profiles"] | {"small": small}}
    make_plan(make_config(tiny_settings | {"devices": devices}))
    for name in ("md_gan", "fed_gan"):
        with pytest.raises(ConfigError, match=rf"devices.profiles.small.memory_bytes: {name} needs [\d,]+ bytes"):
            make_plan(make_config(tiny_settings | {"devices": devices, "algorithm": name}))


@pytest.mark.parametrize(("server_flops_per_s", "split_is_faster"), [(1e13, True), (5e10, False)])
def test_a_fast_server_makes_the_split_pay_on_small_computers(server_flops_per_s: float, split_is_faster: bool) -> None:
    """The paper's networks at full width on six Raspberry Pi 4: a server of 10 TFLOP/s takes from them what they are
    slow at; one of 50 GFLOP/s has six clients' bodies to compute, and keeps them waiting."""
    devices = {"fleet": ["raspberry_pi_4"], "server": {"flops_per_s": server_flops_per_s, "bytes_per_s": 1e9}}
    settings = {"model": {"width": 1}, "training": {"batch_size": 64}, "devices": devices}
    split, whole = (
        make_plan(make_config(settings | {"algorithm": name})).algorithm.cost for name in ("huscf", "fed_gan")
    )
    assert (whole.iteration_s > split.iteration_s) is split_is_faster


def test_a_speed_at_which_predictions_overflow_is_refused_before_anything_starts(
    tiny_settings: dict[str, Any], tmp_path: Path
) -> None:
    small = tiny_settings["devices"]["profiles"]["small"] | {"flops_per_s": 1e-320}
    devices = {"fleet": ["small"], "profiles": {"small": small}}
    kept = {key: value for key, value in tiny_settings.items() if key != "cuts"}
    with pytest.raises(CutError, match="overflow"):
        train(make_config(kept | {"algorithm": "local", "devices": devices}), tmp_path / "run", in_process=True)
    assert not (tmp_path / "run").exists()


def test_a_run_keeps_its_costs_and_goes_on_without_them(tiny_settings: dict[str, Any], tmp_path: Path) -> None:
    """A run of before has none, and perhaps a device that is too small by today's reckoning."""
    settings = {key: value for key, value in tiny_settings.items() if key != "cuts"} | {"algorithm": "md_gan"}
    run = train(make_config(settings), tmp_path / "run", in_process=True)
    assert json.loads((run.path / "costs.json").read_text()) == make_plan(make_config(settings)).documents["costs"]
    for name in ("costs.json", "summary.json"):
        (run.path / name).unlink()
    forget_configuration(run.path)
    written = yaml.safe_load((run.path / "config.yaml").read_text())
    written["devices"]["profiles"]["small"]["memory_bytes"] = 1
    written["training"]["rounds"] = 3
    (run.path / "config.yaml").write_text(yaml.safe_dump(written))
    assert len(resume(run.path, in_process=True).metrics) == 3
    assert write_report(run.path).exists()


def _needs(settings: dict[str, Any], name: str) -> float:
    cost = make_plan(make_config(settings | {"algorithm": name})).algorithm.cost
    return float(cost.memory_bytes["small"])
