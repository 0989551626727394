"""An emulated fleet takes as long as the latency model predicts, and learns what it would learn anyway."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from raygan.algorithms.base import Algorithm
from raygan.algorithms.huscf import split_plan
from raygan.api import train
from raygan.config.loading import make_config
from raygan.cuts import Plan
from raygan.run.events import Listener
from raygan.run.plan import make_plan
from raygan.storage import read_arrays

ALL_CLIENT = {"generator": [1, 1], "discriminator": [1, 1]}
ALL_SERVER = {"generator": [0, 0], "discriminator": [0, 0]}


def emulated(settings: dict, small: tuple, medium: tuple, large: tuple, server: tuple, **changes: Any) -> dict:
    """The settings with emulated devices, each (FLOP/s, bytes/s), and eight steps in one round."""
    profiles = {
        name: {"flops_per_s": flops_per_s, "bytes_per_s": bytes_per_s, "resources": {name: 1}}
        for name, (flops_per_s, bytes_per_s) in {"small": small, "medium": medium, "large": large}.items()
    }
    devices = {
        "fleet": ["small", "medium", "large"],
        "profiles": profiles,
        "server": {"flops_per_s": server[0], "bytes_per_s": server[1]},
        "emulate": True,
    }
    training = {"rounds": 1, "batch_size": 8, "local_epochs": 2}
    ray_settings = settings["ray"] | {"address": "local"}
    return settings | {"devices": devices, "training": training, "ray": ray_settings} | changes


class Watch(Listener):
    """When each step ended, and what was planned."""

    def __init__(self) -> None:
        self.ends_s: list[float] = []
        self.algorithm: Algorithm[Any, Any] | None = None

    def on_start(self, plan, *_) -> None:
        self.algorithm = plan.algorithm

    def on_step(self, *_) -> None:
        self.ends_s.append(time.perf_counter())

    @property
    def step_s(self) -> float:
        """Median of the steps of a round of eight, without the first two."""
        assert len(self.ends_s) == 8
        steps_s = [later - earlier for earlier, later in pairwise(self.ends_s)]
        return statistics.median(steps_s[1:])


@dataclass(frozen=True)
class Measured:
    """Seconds of a step."""

    step_s: float
    predicted_s: float
    cuts: Plan


def measure(settings: dict, folder: Path) -> Measured:
    watch = Watch()
    train(make_config(settings), folder, listener=watch)
    assert watch.algorithm is not None
    split = split_plan(watch.algorithm)
    assert split.layout.pace is not None
    return Measured(watch.step_s, split.layout.pace.step_s, split.cuts)


@pytest.mark.slow
def test_emulation_changes_no_number(small_ray: None, tiny_settings: dict, tmp_path: Path) -> None:
    one_round = tiny_settings | {"training": {"rounds": 1, "batch_size": 8}}
    in_process = train(make_config(one_round), tmp_path / "in_process", in_process=True)
    devices = tiny_settings["devices"] | {"emulate": True}
    run = train(make_config(one_round | {"devices": devices}), tmp_path / "run")
    files = sorted((in_process.path / "checkpoints" / "round-0001").glob("*.safetensors"))
    assert [file.name.split("-")[0] for file in files] == ["body.safetensors", *["clients"] * 3, "cluster"]
    for file in files:
        mine, other = read_arrays(file), read_arrays(run.path / "checkpoints" / "round-0001" / file.name)
        assert mine.keys() == other.keys()
        assert [name for name in mine if mine[name].tobytes() != other[name].tobytes()] == []


@pytest.mark.slow
def test_planned_and_bad_cuts_take_as_long_as_predicted(tiny_settings: dict, tmp_path: Path) -> None:
    fleet = {"small": (4.5e5, 6e4), "medium": (4.5e6, 1.2e5), "large": (3e7, 6e5), "server": (1.5e7, 6e5)}
    bad_cuts = {"solver": "fixed", "fixed": dict.fromkeys(("small", "medium", "large"), ALL_CLIENT)}
    planned = measure(emulated(tiny_settings, **fleet, cuts={"solver": "exact"}), tmp_path / "planned")
    bad = measure(emulated(tiny_settings, **fleet, cuts=bad_cuts), tmp_path / "bad")
    for found in (planned, bad):
        print(f"predicted {found.cuts.latency_s:.3f} s, measured {found.step_s:.3f} s")
        assert found.step_s == pytest.approx(found.cuts.latency_s, rel=0.1)
    predicted_factor = bad.cuts.latency_s / planned.cuts.latency_s
    assert predicted_factor > 2
    assert bad.step_s / planned.step_s == pytest.approx(predicted_factor, rel=0.1)


@pytest.mark.slow
def test_clients_that_are_slow_in_turn_overlap(tiny_settings: dict, tmp_path: Path) -> None:
    """A slow processor and a slow link: the run is a fifth faster than the model, as `overlapped_s` says."""
    fleet = {"small": (4e5, 1e7), "medium": (1e9, 1.5e4), "large": (1e9, 1e7), "server": (1e8, 1e7)}
    cuts = {"solver": "fixed", "fixed": dict.fromkeys(("small", "medium", "large"), ALL_SERVER)}
    found = measure(emulated(tiny_settings, **fleet, cuts=cuts), tmp_path / "run")
    assert found.cuts.overlapped_s < 0.82 * found.cuts.latency_s
    print(f"overlapped {found.cuts.overlapped_s:.3f} s, measured {found.step_s:.3f} s")
    assert found.step_s == pytest.approx(found.cuts.overlapped_s, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["body_pipeline", "body_replicas"])
def test_a_body_on_two_nodes_takes_as_long_as_predicted(tiny_settings: dict, tmp_path: Path, how: str) -> None:
    """Of two sections one has D's fakes while the next has its reals, and what crosses the border takes its time; two
    replicas have half of the clients each, and exchange numbers."""
    fleet = {"small": (3e7, 6e5), "medium": (3e7, 6e5), "large": (3e7, 6e5), "server": (4e6, 1e5)}
    cuts = {"solver": "fixed", "fixed": dict.fromkeys(("small", "medium", "large"), ALL_SERVER)}
    settings = emulated(tiny_settings, **fleet, cuts=cuts)
    whole_s = split_plan(make_plan(make_config(settings)).algorithm).cuts.overlapped_s
    settings["ray"] = settings["ray"] | {how: 2, "clients_per_actor": 1}  # which can be dealt evenly, as the model says
    found = measure(settings, tmp_path / "run")
    print(f"{how}: predicted {found.predicted_s:.3f} s, measured {found.step_s:.3f} s; whole {whole_s:.3f} s")
    assert abs(found.predicted_s / whole_s - 1) > 0.2
    assert found.step_s == pytest.approx(found.predicted_s, rel=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ["fed_gan", "md_gan", "ua_gan"])
def test_other_algorithms_take_as_long_as_predicted(tiny_settings: dict, tmp_path: Path, algorithm: str) -> None:
    """Whole networks on each client; G on a server, a D on each; and two round trips a step."""
    fleet = {"small": (2e6, 6e4), "medium": (4.5e6, 1.2e5), "large": (3e7, 6e5), "server": (1.5e7, 6e5)}
    settings = {key: value for key, value in tiny_settings.items() if key != "cuts"}
    settings = emulated(settings, **fleet, algorithm=algorithm)
    watch = Watch()
    train(make_config(settings), tmp_path / "run", listener=watch)
    assert watch.algorithm is not None
    predicted_s = watch.algorithm.cost.iteration_s
    print(f"{algorithm}: predicted {predicted_s:.3f} s, measured {watch.step_s:.3f} s")
    assert watch.step_s == pytest.approx(predicted_s, rel=0.1)
