from __future__ import annotations

import time

import numpy as np
import pytest
import ray

from raygan.errors import WireError
from raygan.runtime.ray.transport import Parcel, gather, receive, ship
from raygan.wire.records import Activations, Lost, StepId, StepReport

STEP = StepId(0, 0)
pytestmark = pytest.mark.usefixtures("small_ray")


def activations(size: int) -> Activations:
    return Activations(STEP, {0: (np.zeros((2, size), dtype=np.float32),)})


@ray.remote(num_cpus=0)
class Sender:
    def send(self, size: int) -> object:
        return ship(activations(size))

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)

    def fail(self) -> None:
        raise KeyError("a bug")


def test_a_small_record_goes_into_the_store_and_only_its_reference_passes_on() -> None:
    sender = Sender.remote()
    reference = sender.send.remote(10)
    assert isinstance(ray.get(reference), Parcel)
    (record,) = gather([reference])
    assert record.arrays[0][0].shape == (2, 10)


def test_a_large_record_travels_as_it_is() -> None:
    record = activations(100_000)
    assert ship(record) is record


def test_references_are_replaced_wherever_they_stand() -> None:
    sender = Sender.remote()
    got = receive([STEP, {3: [sender.send.remote(5)]}, (sender.send.remote(7), 1)])
    assert got[0] == STEP
    assert got[1][3][0].arrays[0][0].shape == (2, 5)
    assert got[2][0].arrays[0][0].shape == (2, 7)


def test_a_dead_sender_is_a_value() -> None:
    good, dead = Sender.remote(), Sender.remote()
    reference = dead.wait.remote(60)
    ray.kill(dead)
    first, second = gather([good.send.remote(5), reference])
    assert isinstance(first, Activations)
    assert isinstance(second, Lost)
    assert "Actor" in second.reason


def test_a_parcel_whose_sender_died_is_lost() -> None:
    sender = Sender.remote()
    reference = sender.send.remote(10)
    ray.wait([reference])
    ray.kill(sender)
    time.sleep(1)  # its objects die with it
    (record,) = gather([reference])
    assert isinstance(record, Lost)


def test_a_late_sender_costs_the_deadline_and_no_more() -> None:
    slow, good = Sender.remote(), Sender.remote()
    ray.get(good.wait.remote(0))
    started = time.perf_counter()
    first, second = gather([good.send.remote(5), slow.wait.remote(30)], deadline_s=2.0)
    assert time.perf_counter() - started < 15
    assert isinstance(first, Activations)
    assert second == Lost("late: nothing within 2 s", "late")


def test_a_bug_is_not_a_loss() -> None:
    sender = Sender.remote()
    with pytest.raises(KeyError, match="a bug"):
        gather([sender.fail.remote()])


def test_labels_are_refused() -> None:
    with pytest.raises(WireError, match="int64 array of shape"):
        ship(Activations(STEP, {0: (np.arange(3),)}))


def test_what_is_no_record_is_refused() -> None:
    with pytest.raises(WireError, match="ndarray is not a record"):
        ship(np.zeros(3))


def test_a_small_record_may_not_hold_arrays() -> None:
    report = StepReport(STEP, {0: np.zeros(3)}, {}, 0, {}, 0, 0)  # type: ignore[dict-item]
    with pytest.raises(WireError, match="StepReport holds an array"):
        ship(report)
