"""One iteration as a picture."""

import matplotlib.image
import numpy as np
import pytest

from raygan.config import Config
from raygan.cuts import draw_timeline, plan_config
from raygan.cuts.timeline import MAX_ROWS, passes_in_order, slowest_of_profiles
from tests.cuts.paper import PAPER_FLEET, paper_networks

G, D = paper_networks()


@pytest.fixture(scope="module")
def chosen():
    return plan_config(Config(**PAPER_FLEET), generator=G, discriminator=D)


def test_the_timeline_covers_the_iteration(chosen):
    passes = list(passes_in_order(chosen.breakdown))
    assert len(passes) == 8
    _, start_s, last = passes[-1]
    assert start_s + last.pass_s == pytest.approx(chosen.latency_s)


def test_the_timeline_is_a_picture_with_colours(chosen, tmp_path):
    path = draw_timeline(chosen, tmp_path / "timeline.png")
    pixels = matplotlib.image.imread(path)
    assert pixels.shape[1] > 1000
    assert len(np.unique((pixels[..., :3] * 255).astype(int).reshape(-1, 3), axis=0)) > 20
    assert len(slowest_of_profiles(chosen)) == 7


def test_a_large_fleet_is_shown_by_its_slowest_profiles():
    profiles = {f"p{i}": {"flops_per_s": 1e9 * (i + 1), "bytes_per_s": 1e8} for i in range(15)}
    config = Config(
        data={"domains": [{"name": "demo_mnist", "clients": 15}]},
        devices={"fleet": list(profiles), "profiles": profiles},
    )
    shown = slowest_of_profiles(plan_config(config, generator=G, discriminator=D))
    assert len(shown) == MAX_ROWS
    assert 0 in shown
