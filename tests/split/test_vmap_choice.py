"""Which blocks an actor's clients compute at once: by measurement, and the same the next time."""

from __future__ import annotations

import importlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from raygan.config.loading import make_config
from raygan.nn.network import build_networks
from raygan.nn.vmapped import BlockTime
from raygan.run.plan import Plan, make_plan
from raygan.simulation import vmap_timings as timings
from raygan.split.layout import WorkerPlan
from raygan.split.vmap_choice import block_times, blocks_to_vmap
from raygan.wire.codec import CPU

HELD = {("generator", 0), ("generator", 4), ("discriminator", 0), ("discriminator", 4)}
"""By clients of cut (0, 0)."""


@pytest.fixture
def plan(two_clients: dict) -> Plan:
    return make_plan(make_config(two_clients))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(timings, "CACHE", tmp_path / "cache" / "vmap")
    return tmp_path / "cache" / "vmap"


def chosen(plan: Plan, mode: str, worker: WorkerPlan | None = None, device: torch.device = CPU) -> set:
    config = plan.config.model_copy(update={"ray": plan.config.ray.model_copy(update={"vmap_clients": mode})})
    networks = build_networks(plan.layout.spec, None, 0)
    return set(blocks_to_vmap(worker or plan.layout.workers[0], plan.layout, networks, config, device))


def measured(times: dict, monkeypatch: pytest.MonkeyPatch) -> list:
    """`time_block` answers by the block's class; returns the classes it is asked for."""
    asked = []

    def time_block(block, num_clients, inputs):
        asked.append(type(block).__name__)
        return times.get(type(block).__name__, BlockTime(1.0, 2.0))

    monkeypatch.setattr(timings, "time_block", time_block)
    return asked


@pytest.mark.parametrize("mode", ["auto", "never"])
def test_on_a_cpu_clients_are_computed_one_by_one_unless_asked(plan: Plan, mode: str, monkeypatch) -> None:
    asked = measured({}, monkeypatch)
    assert chosen(plan, mode) == set()
    assert asked == []


def test_elsewhere_it_is_measured(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    measured({"LatentBlock": BlockTime(1.0, 0.5)}, monkeypatch)
    assert chosen(plan, "auto", device=torch.device("meta")) == {("generator", 0)}


def test_blocks_that_are_faster_are_chosen(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    times = {"LatentBlock": BlockTime(1.0, 0.5), "ImageBlock": BlockTime(1.0, 0.95)}
    measured(times | {"LogitBlock": BlockTime(1.0, None)}, monkeypatch)
    assert chosen(plan, "measure") == {("generator", 0)}, "0.95 is not worth it, the others are slower or unable"


def test_always_takes_all_blocks_that_can_be(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    measured({"LogitBlock": BlockTime(1.0, None)}, monkeypatch)
    assert chosen(plan, "always") == HELD - {("discriminator", 4)}


def test_a_single_client_has_nobody_to_be_computed_with(plan: Plan) -> None:
    alone = WorkerPlan(0, plan.layout.workers[0].clients[:1])
    assert chosen(plan, "always", alone) == set()


def test_the_real_measurement_is_of_all_held_blocks(plan: Plan) -> None:
    networks = build_networks(plan.layout.spec, None, 0)
    times = block_times(plan.layout.workers[0], plan.layout, networks, plan.config, CPU)
    assert set(times) == HELD
    assert all(taken.one_by_one_s > 0 and taken.vmapped_s for taken in times.values())


def test_a_measurement_is_kept_and_not_repeated(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = measured({"LatentBlock": BlockTime(1.0, 0.5)}, monkeypatch)
    first = chosen(plan, "measure")
    assert len(asked) == 4
    measured({"ImageBlock": BlockTime(1.0, 0.5)}, monkeypatch)
    assert chosen(plan, "measure") == first, "the machine's first measurement counts"


def test_another_batch_is_another_measurement(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = measured({}, monkeypatch)
    chosen(plan, "measure")
    training = plan.config.training.model_copy(update={"batch_size": 4})
    other = plan.config.model_copy(update={"training": training})
    chosen(replace(plan, config=other), "measure")
    assert len(asked) == 8


def test_a_damaged_file_is_measured_again(plan: Plan, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measured({"LatentBlock": BlockTime(1.0, 0.5)}, monkeypatch)
    chosen(plan, "measure")
    damaged = ["{", "[]", '{"one_by_one_s": null, "vmapped_s": 1}', ""]
    for path, content in zip(cache.glob("*.json"), damaged, strict=True):
        path.write_text(content)
    asked = measured({}, monkeypatch)
    assert chosen(plan, "measure") == set()
    assert len(asked) == 4
    assert chosen(plan, "measure") == set()
    assert len(asked) == 4, "and kept"


def test_a_cache_that_cannot_be_written_does_not_matter(plan: Plan, cache: Path, monkeypatch) -> None:
    cache.parent.mkdir()
    cache.write_text("a file where the folder should be")
    measured({"LatentBlock": BlockTime(1.0, 0.5)}, monkeypatch)
    assert chosen(plan, "measure") == {("generator", 0)}


def test_a_block_is_measured_once_by_whoever_is_first(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def slowly(block, num_clients, inputs):
        asked.append(block)
        time.sleep(0.05)
        return BlockTime(1.0, 1 / len(asked))

    monkeypatch.setattr(timings, "time_block", slowly)
    with ThreadPoolExecutor() as pool:
        choices = list(pool.map(lambda _: chosen(plan, "measure"), range(3)))
    assert len(asked) == 4
    assert choices[0] == choices[1] == choices[2]


def test_code_is_parsed_by_one_thread_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11 before 3.11.8 fails otherwise, now and then."""
    under_way, most = [], []

    def slowly(kind: type) -> str:
        under_way.append(kind)
        most.append(len(under_way))
        time.sleep(0.02)
        under_way.remove(kind)
        return "code"

    monkeypatch.setattr(timings.inspect, "getsource", slowly)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(timings._source, [Path] * 4)) == ["code"] * 4
    assert set(most) == {1}


def test_too_little_memory_is_not_kept(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_):
        raise torch.cuda.OutOfMemoryError("out of memory")

    monkeypatch.setattr(timings, "time_block", fail)
    assert chosen(plan, "measure") == set()
    measured({"LatentBlock": BlockTime(1.0, 0.5)}, monkeypatch)
    assert chosen(plan, "measure") == {("generator", 0)}


def test_changed_code_is_another_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    code = "from torch import nn\n\n\nclass Own(nn.Module):\n    def forward(self, x):\n        return x + {}\n"
    file = tmp_path / "own_networks.py"
    file.write_text(code.format(1))
    networks = importlib.import_module("own_networks")
    inputs = (torch.zeros(1),)
    before = timings._key(networks.Own(), 2, inputs)
    assert timings._key(networks.Own(), 2, inputs) == before
    file.write_text(code.format(1000))
    networks = importlib.reload(networks)
    assert timings._key(networks.Own(), 2, inputs) != before
