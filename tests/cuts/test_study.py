"""What simpler choices cost, and what the command line prints."""

import itertools
import json

import pytest

from raygan.config import Config
from raygan.cuts import Device, plan, plan_study, valid_cuts
from raygan.cuts.planner import uniform_choices
from tests.cuts.paper import PAPER_FLEET, PAPER_SERVER, paper_devices, paper_networks

G, D = paper_networks()
DEVICES = paper_devices(9)
ARGUMENTS = {"generator": G, "discriminator": D, "devices": DEVICES, "server": PAPER_SERVER}


@pytest.fixture(scope="module")
def study():
    return plan_study(Config(**PAPER_FLEET), generator=G, discriminator=D)


def test_profile_rows_count_every_client(study):
    rows = study.profile_rows()
    assert [row.profile for row in rows][:2] == ["paper_device_1", "paper_device_2"]
    assert sum(row.num_clients for row in rows) == 9
    first = study.plan.breakdown.client_seconds(0)
    assert rows[0].wait_s == pytest.approx(first["wait"])


def test_phases_add_up(study):
    rows = study.to_json()["phases"]
    assert sum(row["seconds"] for row in rows) == pytest.approx(study.plan.latency_s)
    assert [row["repeats"] for row in rows] == [1, 1, 3, 3]
    assert all(0 < row["server_busy_s"] < row["seconds"] for row in rows)


def test_the_plan_is_compared_with_simpler_choices(study):
    rows = study.comparison_rows()
    assert rows[0].name == "exact"
    assert {row.name for row in rows[1:]} == {"ga", "uniform", "all_server", "all_client"}
    assert all(row.times_planned >= 1 - 1e-6 for row in rows)
    assert study.slowest.startswith("paper_device_")


def test_all_of_it_is_json(study):
    document = json.loads(json.dumps(study.to_json()))
    assert document["optimal"] is True
    assert len(document["clients"]) == 9
    assert document["comparison"][0]["name"] == "exact"


@pytest.fixture(scope="module")
def chosen():
    return plan(**ARGUMENTS)


def simpler(chosen):
    return {baseline.name: baseline for baseline in uniform_choices(chosen)}


def uniform_s(pair):
    return plan(cuts=[pair] * len(DEVICES), **ARGUMENTS).latency_s


def test_the_extremes(chosen):
    assert simpler(chosen)["all_server"].latency_s == pytest.approx(uniform_s(((0, 0), (0, 0))))
    assert simpler(chosen)["all_client"].cuts == ((1, 1), (1, 1))
    assert simpler(chosen)["all_client"].latency_s == pytest.approx(uniform_s(((1, 1), (1, 1))))


def test_the_best_uniform_cut_is_the_best_of_all(chosen):
    best_s = min(uniform_s(pair) for pair in itertools.product(valid_cuts(5, 2), repeat=2))
    found = simpler(chosen)["uniform"]
    assert found.latency_s == pytest.approx(best_s)
    assert found.allowed
    assert chosen.latency_s <= found.latency_s


def test_what_a_device_may_not_do_is_marked():
    devices = [*DEVICES, Device("pinned", 1e12, 1e9, server_blocks=((1,), ()))]
    chosen = plan(**{**ARGUMENTS, "devices": devices})
    assert not simpler(chosen)["all_client"].allowed
    assert simpler(chosen)["all_server"].allowed
    assert simpler(chosen)["uniform"].cuts[0][0] == 0
