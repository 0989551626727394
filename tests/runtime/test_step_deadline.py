"""The body's waiting: late workers cost their deadline once and are not waited for again in their round."""

from __future__ import annotations

import time

import numpy as np
import pytest
import ray

from raygan.runtime.ray.actors import StepDeadline
from raygan.runtime.ray.transport import ship
from raygan.wire.records import Activations, Lost, StepId

NEVER_S = 3600.0
pytestmark = pytest.mark.usefixtures("small_ray")


@ray.remote(num_cpus=0)
class Sender:
    def send(self, step: StepId, after_s: float) -> object:
        time.sleep(after_s)
        return ship(Activations(step, {0: (np.zeros((2, 3), dtype=np.float32),)}))


@pytest.fixture(scope="module")
def workers(small_ray: None) -> list:
    made = [Sender.remote() for _ in range(2)]
    ray.get([worker.send.remote(StepId(0, 0), 0) for worker in made])
    return made


def test_a_late_worker_costs_the_deadline_once_a_round(workers: list) -> None:
    fast, slow = workers

    def sent(step: StepId) -> ray.ObjectRef:
        """A message that is there."""
        ray.wait([reference := fast.send.remote(step, 0)])
        return reference

    deadline = StepDeadline()
    first = {4: sent(StepId(0, 0)), 7: slow.send.remote(StepId(0, 0), NEVER_S)}
    deadline.begin_step(StepId(0, 0), 3.0)
    here, late = deadline.gather(first).values()
    assert isinstance(here, Activations)
    assert late == Lost("late: nothing within 3 s", "late")
    for number in (0, 1):
        step = StepId(0, number)
        if number:
            deadline.begin_step(step, NEVER_S)
        here, late = deadline.gather({4: sent(step), 7: slow.send.remote(step, 0)}).values()
        assert isinstance(here, Activations)
        assert isinstance(late, Lost), "nothing more is waited for in the round"
    deadline.begin_step(StepId(1, 0), NEVER_S)
    assert isinstance(deadline.gather({7: sent(StepId(1, 0))})[7], Activations), "a new round"


def test_who_is_set_aside_is_not_waited_for(workers: list) -> None:
    found = StepDeadline().gather({1: Lost("set aside"), 2: workers[0].send.remote(StepId(0, 0), 0)})
    assert isinstance(found[1], Lost)
    assert isinstance(found[2], Activations)
