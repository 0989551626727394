"""A Ray of our own that starts before it is asked for: what it declares is enough, and it leaves nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import ray
import yaml

from raygan.config.choices import ALGORITHMS
from raygan.config.loading import make_config
from raygan.run.plan import planned
from raygan.runtime.ray import ahead
from raygan.runtime.ray.ahead import begin  # the fixture of all tests replaces it in its module alone
from raygan.runtime.ray.cluster import has_ray, ray_with
from raygan.runtime.ray.demand import required
from tests.processes import are_gone, descendants

COMMAND = [sys.executable, "-c", "from raygan.cli import main; main()", "train", "config.yaml"]


@pytest.mark.parametrize("algorithm", [name for name in ALGORITHMS if name != "central"])
def test_no_actor_asks_for_more_than_is_declared(tiny_settings: dict, algorithm: str) -> None:
    config = make_config(tiny_settings | {"algorithm": algorithm})
    with planned(config, in_process=True) as plan:
        asked = required(plan.algorithm.parties(), plan.config)
    declared = ahead.known_needs(config)
    assert declared is not None
    assert {name: amount for name, amount in asked.items() if amount > declared.get(name, 0)} == {}


def test_sums_in_another_order_are_enough() -> None:
    assert 0.1 + 0.1 + 0.1 + 0.1 + 0.1 + 0.1 < 0.1 * 2 * 3
    assert ahead._Start({"body": 1, "part": 0.1 + 0.1 + 0.1 + 0.1 + 0.1 + 0.1}).has({"part": 0.1 * 2 * 3})
    assert not ahead._Start({"part": 0.6}).has({"part": 0.6001})


@pytest.mark.parametrize("servers", ["body_replicas", "body_pipeline"])
def test_each_of_several_servers_has_its_place(tiny_settings: dict, servers: str) -> None:
    needs = ahead.known_needs(make_config(tiny_settings | {"ray": {servers: 2}}))
    assert needs == {"body": 2, "small": 2, "medium": 2, "large": 2}


BY_CPUS = {"flops_per_s": 1, "bytes_per_s": 1, "num_cpus": 1}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"ray": {"address": "127.0.0.1:6379"}}, id="another's"),
        pytest.param({"ray": {"placement": "cpus"}}, id="by cpus"),
        pytest.param({"devices": {"fleet": ["one"], "profiles": {"one": BY_CPUS}}}, id="cpus"),
        pytest.param({"algorithm": "central"}, id="one for all"),
        pytest.param({"clusters": {"clustering": "mine:groups"}}, id="own code"),
    ],
)
def test_what_is_not_known_before_the_plan_is_not_begun(tiny_settings: dict, change: dict) -> None:
    assert ahead.known_needs(make_config(tiny_settings | change)) is None


@pytest.mark.slow
def test_it_is_taken_where_it_is_enough_and_started_again_where_it_is_not(tiny_settings: dict) -> None:
    config = make_config(tiny_settings)
    for needs, same in (({"body": 1.0, "small": 1.0}, True), ({"body": 1.0, "other": 3.0}, False)):
        begin(config)
        while not ray.is_initialized():
            time.sleep(0.1)
        assert ahead.is_pending()
        assert not has_ray(), "nobody has asked for it"
        below = descendants(os.getpid())
        with ray_with(needs, config, "tests"):
            assert not ahead.is_pending()
            there = ray.cluster_resources()
            assert {name: there[name] for name in needs} == (needs | {"small": 2.0} if same else needs)
        assert not ray.is_initialized()
        assert are_gone(below)


@pytest.mark.slow
@pytest.mark.parametrize("program", ["raylet", "runtime_env/agent/main.py"])
def test_a_command_that_is_stopped_while_it_starts_leaves_no_process(
    tiny_settings: dict, tmp_path: Path, program: str
) -> None:
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tiny_settings))
    with subprocess.Popen(COMMAND, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.PIPE) as command:
        while not any(program in line for line in below_with_lines(command.pid).values()):
            time.sleep(0.05)
        below = descendants(command.pid)
        command.send_signal(signal.SIGINT)
        _, error = command.communicate(timeout=60)
    assert command.returncode == 128 + signal.SIGINT
    assert error.decode().splitlines()[-1].startswith("raygan: stopped by SIGINT")
    assert "Traceback" not in error.decode()
    assert are_gone(below)


def below_with_lines(process: int) -> dict[int, str]:
    """Processes below another one, with their command lines."""
    found = {}
    for one in descendants(process):
        with suppress(OSError):
            found[one] = Path(f"/proc/{one}/cmdline").read_text().replace("\0", " ")
    return found


@pytest.mark.slow
def test_a_mistake_in_the_plan_is_one_line_and_leaves_no_process(tiny_settings: dict, tmp_path: Path) -> None:
    settings = tiny_settings | {"training": tiny_settings["training"] | {"r1": 1.0}}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    with subprocess.Popen(COMMAND, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL) as command:
        below: list = []
        while command.poll() is None:
            below += [process for process in descendants(command.pid) if process not in below]
            time.sleep(0.05)
        assert command.stderr is not None
        error = command.stderr.read().decode()
    assert command.returncode == 2
    assert error.count("\n") == 1
    assert error.startswith("raygan: training.r1: 1, but algorithm huscf cuts D")
    assert below, "Ray had begun to start"
    assert are_gone(below)
