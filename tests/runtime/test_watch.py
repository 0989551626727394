"""Who hangs: an actor that works for too long on a call, not one that waits for it."""

from __future__ import annotations

import time
from typing import Any

import pytest
import ray

from raygan.config.loading import make_config
from raygan.errors import InputError
from raygan.run.plan import make_plan
from raygan.runtime.ray.backend import RayHandle
from raygan.runtime.ray.transport import receive
from raygan.runtime.ray.watch import Watch
from raygan.wire.records import Lost
from tests.federations import on_ray

pytestmark = pytest.mark.usefixtures("small_ray")


@ray.remote(num_cpus=0)
class Worker:
    def ready(self, arguments: list[Any]) -> tuple[None, None]:
        return None, None

    def run(self, method: str, count: int, arguments: list[Any]) -> tuple[Any, None]:
        assert (method, count) == ("work", 1)
        seconds, others = receive(arguments)
        time.sleep(seconds)
        return Lost(f"{len(others)} others were waited for"), None


def handle(name: str, watch: Watch) -> RayHandle[Any]:
    return RayHandle(name, Worker.remote(), watch, lambda method: 2.0 if method == "work" else 100.0)


def work(handle: RayHandle[Any], seconds: float, others: list[Any]) -> Any:
    return handle.submit("work", 1, [seconds, others])[0]


def test_only_the_one_that_works_too_long_hangs() -> None:
    watch = Watch()
    slow, patient, done = (handle(name, watch) for name in ("slow", "patient", "done"))
    first = work(slow, 1000, [])
    second = work(patient, 0, [first])
    third = work(done, 0, [])
    ray.get(third)
    ends = time.monotonic() + 60
    while not (found := watch.hanging()) and time.monotonic() < ends:
        time.sleep(0.2)
    assert [(actor.name, reason) for actor, reason in found] == [("slow", "hung: work took longer than 2 s")]
    watch.forget(slow.watched)
    ray.kill(slow.actor)
    assert ray.get(second) == Lost("1 others were waited for"), "it goes on without"
    assert not watch.hanging()


def test_records_that_are_there_end_the_calls_before_them() -> None:
    watch = Watch()
    worker = handle("worker", watch)
    references = [work(worker, 0, []) for _ in range(3)]
    assert len(worker.watched.calls) == 4, "with its start"
    ray.get(references[1])
    watch.ended([references[1]])
    assert [call.method for call in worker.watched.calls] == ["work"]
    assert watch.producer(references[2]) is worker.watched
    assert watch.producer(references[1]) is None


def test_an_actor_that_finds_no_place_is_an_error(tiny_settings: dict) -> None:
    taken = Worker.options(resources={"body": 2}).remote()
    ray.get(taken.ready.remote([]))
    config = make_config(tiny_settings | {"ray": tiny_settings["ray"] | {"start_timeout_s": 3}})
    started = time.monotonic()
    with pytest.raises(InputError, match=r"ray.start_timeout_s: body was not there within 3 s; see what"):
        on_ray(make_plan(config))
    assert time.monotonic() - started < 60
    ray.kill(taken)
