"""What the command line prints, and the picture."""

import json

import matplotlib.image
import numpy as np
import pytest

from raygan.config import Config
from raygan.cuts import draw_timeline, fleet, plan_config, plan_study
from raygan.cuts.paper import PAPER_PROFILES, paper_networks
from raygan.cuts.timeline import MAX_ROWS, passes_in_order, slowest_of_profiles
from raygan.errors import CutError

G, D = paper_networks()
BASE = {
    "data": {"domains": [{"name": "demo_mnist", "clients": 9}]},
    "devices": {"fleet": list(PAPER_PROFILES)},
    "cuts": {"ga": {"population": 50, "generations": 20}},
}


@pytest.fixture(scope="module")
def study():
    return plan_study(Config(**BASE), generator=G, discriminator=D)


def test_profile_rows_count_every_client(study):
    rows = study.profile_rows()
    assert [row.profile for row in rows][:2] == ["paper_device_1", "paper_device_2"]
    assert sum(row.num_clients for row in rows) == 9
    first = study.plan.breakdown.client_seconds(0)
    assert rows[0].wait_s == pytest.approx(first["wait"])


def test_phase_rows_add_up(study):
    rows = study.phase_rows()
    assert sum(row.seconds for row in rows) == pytest.approx(study.plan.latency_s)
    assert [row.repeats for row in rows] == [1, 1, 3, 3]
    assert all(0 < row.server_busy_s < row.seconds for row in rows)


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


def test_the_fleet_is_dealt_in_turn_with_the_users_profiles():
    mine = {"flops_per_s": 1e9, "bytes_per_s": 1e6}
    config = Config(devices={"fleet": ["mine", "workstation"], "profiles": {"mine": mine}})
    devices = fleet(config)
    assert [device.name for device in devices] == ["mine", "workstation"] * 3
    assert devices[0].flops_per_s == 1e9


def test_fixed_cuts_by_profile():
    cuts = {"solver": "fixed", "fixed": {"paper_device_2": {"generator": [1, 1], "discriminator": [0, 1]}}}
    found = plan_config(Config(**{**BASE, "cuts": cuts}), generator=G, discriminator=D)
    assert found.solver == "fixed"
    assert found.cuts[:2] == (((0, 0), (0, 0)), ((1, 1), (0, 1)))
    cuts["fixed"]["paper_device_2"]["generator"] = [2, 2]
    with pytest.raises(CutError, match=r"^generator cut of device 'paper_device_2': \(2, 2\) is not valid; "):
        plan_config(Config(**{**BASE, "cuts": cuts}), generator=G, discriminator=D)


def test_the_timeline_covers_the_iteration(study):
    passes = list(passes_in_order(study.plan.breakdown))
    assert len(passes) == 8
    _, start_s, last = passes[-1]
    assert start_s + last.pass_s == pytest.approx(study.plan.latency_s)


def test_the_timeline_is_a_picture_with_colours(study, tmp_path):
    path = draw_timeline(study.plan, tmp_path / "timeline.png")
    pixels = matplotlib.image.imread(path)
    assert pixels.shape[1] > 1000
    assert len(np.unique((pixels[..., :3] * 255).astype(int).reshape(-1, 3), axis=0)) > 20
    assert len(slowest_of_profiles(study.plan)) == 7


def test_a_large_fleet_is_shown_by_its_slowest_profiles():
    profiles = {f"p{i}": {"flops_per_s": 1e9 * (i + 1), "bytes_per_s": 1e8} for i in range(15)}
    config = Config(
        data={"domains": [{"name": "demo_mnist", "clients": 15}]},
        devices={"fleet": list(profiles), "profiles": profiles},
    )
    shown = slowest_of_profiles(plan_config(config, generator=G, discriminator=D))
    assert len(shown) == MAX_ROWS
    assert 0 in shown
