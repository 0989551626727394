"""Replicas of the body: the numbers of one body, and of each other, whoever is at which of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raygan.algorithms.huscf import split_plan
from raygan.config.loading import make_config
from raygan.errors import ConfigError
from raygan.run.plan import make_plan
from raygan.runtime.replica_threads import ReplicaThreads
from raygan.split.body import SharedBody
from raygan.split.layout import Layout
from raygan.split.plan import SplitPlan
from raygan.step import CROSSINGS, Crossing
from raygan.wire.records import MESSAGES, Lost, State, StepId
from tests.federations import in_process

STEPS = 50
TOLERANCE = 1e-5
NOBODY = Lost("set aside", "late")


class Bodies:
    """A body, or replicas of one, that are sent random numbers: the same whoever serves a client."""

    def __init__(self, settings: dict[str, Any], replicas: int) -> None:
        apart = settings["ray"] | {"clients_per_actor": 1, "body_replicas": replicas}
        plan: SplitPlan = split_plan(make_plan(make_config(settings | {"ray": apart})).algorithm)
        self.layout: Layout = plan.layout
        self.all = [SharedBody(plan.layout, plan.config, replica=replica) for replica in range(replicas)]
        self.threads = ReplicaThreads(replicas)
        for body, peers in zip(self.all, self.threads.peers, strict=True):
            body.begin_round(0)
            if replicas > 1:
                body.join(peers)

    def step(self, number: int, without: Collection[int] = ()) -> dict[tuple[str, int], np.ndarray]:
        """A step: (crossing, client) -> what it got back, in all its tensors."""
        found: dict[tuple[str, int], np.ndarray] = {}
        for crossing in CROSSINGS:
            stages = list(enumerate(self.layout.stages[crossing.way.network]))
            for index, _ in stages if crossing.direction == "forward" else reversed(stages):
                calls = [partial(self._stage, body, number, crossing, index, without) for body in self.all]
                for records in self.threads.run(calls):
                    found |= {(str(crossing), client): np.stack(a) for r in records for client, a in r.arrays.items()}
        for body in self.all:
            body.report(StepId(0, number))
        return found

    def _stage(self, body: SharedBody, number: int, crossing: Crossing, index: int, without: Collection[int]) -> Any:
        stage = body._stages[crossing.way.network][index]
        enters = stage.entering if crossing.direction == "forward" else stage.leaving
        messages = {w: NOBODY if w in without else self._message(number, crossing, w) for w in enters}
        return getattr(body, crossing.direction)(StepId(0, number), crossing.pass_name, index, messages)

    def _message(self, number: int, crossing: Crossing, worker: int) -> Any:
        (plan,) = self.layout.workers[worker].clients
        head, tail = plan.cut(crossing.way.network)
        count = self.layout.num_blocks[crossing.way.network]
        block = head if crossing.sent_from == "head" else count - 2 - tail
        shape = (3 + worker, *self.layout.output_shapes[crossing.way.network][block])
        rng = np.random.default_rng([number, CROSSINGS.index(crossing), plan.client])
        scale = 1 if crossing.direction == "forward" else 0.1
        arrays = tuple((scale * rng.standard_normal(shape)).astype(np.float32) for _ in range(crossing.num_tensors))
        return MESSAGES[crossing.direction](StepId(0, number), {plan.client: arrays})

    def arrays(self, replica: int = 0) -> dict[str, np.ndarray]:
        """All that a replica saves."""
        return self.all[replica]._trunks[0].arrays("")

    def are_equal(self) -> bool:
        """Whether all replicas are, bit for bit."""
        return len({b"".join(a.tobytes() for a in self.arrays(n).values()) for n in range(len(self.all))}) == 1


def far(found: Mapping[Any, np.ndarray], wanted: Mapping[Any, np.ndarray]) -> float:
    """The largest difference, of the largest entry."""
    assert found.keys() == wanted.keys()
    return max(float(np.abs(found[k] - wanted[k]).max() / max(1e-3, np.abs(wanted[k]).max())) for k in wanted)


def test_fifty_steps_are_those_of_one_body(tiny_settings: dict[str, Any]) -> None:
    """Float32: what leaves each stage, and the weights, are within 1e-5 of one body's, of the largest entry."""
    one, several = Bodies(tiny_settings, 1), Bodies(tiny_settings, 3)
    apart = []
    for number in range(STEPS):
        without = {number % 6} if number % 3 == 2 else set()  # now and then one is late
        apart.append(far(several.step(number, without), one.step(number, without)))
        assert several.are_equal()
    assert max(apart) < TOLERANCE
    assert far(several.arrays(), one.arrays()) < TOLERANCE


@pytest.mark.parametrize("model", [{}, {"networks": "residual", "image_size": 16, "spectral_norm": True}], ids=str)
def test_a_replica_without_rows_keeps_up(tiny_settings: dict[str, Any], model: dict[str, Any]) -> None:
    """All workers of the second are late in a step, and everybody in another, which then changes nothing."""
    settings = tiny_settings | {"model": tiny_settings["model"] | model}
    if model:  # of other blocks
        settings["cuts"] = {"solver": "fixed", "bodies": "shared"}
    one, several = Bodies(settings, 1), Bodies(settings, 2)
    of_second = [worker for worker, replica in several.layout.replica_of.items() if replica]
    assert 0 < len(of_second) < 6
    for number, without in enumerate(([], of_second, range(6), [])):
        before = several.arrays()
        found, wanted = (bodies.step(number, without) for bodies in (several, one))
        if model:  # one value of a leaky ReLU is 0 but for rounding: its slope is another
            found, wanted = ({k: a for k, a in of.items() if "discriminate f" in k[0]} for of in (found, wanted))
        assert (far(found, wanted) if wanted else 0.0) < TOLERANCE
        assert several.are_equal()
        unchanged = all(np.array_equal(a, before.get(k, np.empty(0))) for k, a in several.arrays().items())
        assert unchanged == (without == range(6))


def test_clients_of_equal_cuts_are_dealt_evenly(tiny_settings: dict[str, Any]) -> None:
    layout = Bodies(tiny_settings, 2).layout
    for profile in ("small", "medium", "large"):
        workers = [worker.worker for worker in layout.workers if worker.profile == profile]
        assert sorted(layout.replica_of[worker] for worker in workers) == [0, 1]
    stages = [layout.stages_of(replica)["generator"] for replica in (0, 1)]
    for whole, *parts in zip(layout.stages["generator"], *stages, strict=True):
        assert [part.blocks for part in parts] == [whole.blocks] * 2
        assert sorted(w for part in parts for w in part.entering) == sorted(whole.entering)


@pytest.fixture
def started(tiny_settings: dict[str, Any]) -> Iterator[Any]:
    ray = tiny_settings["ray"] | {"clients_per_actor": 1, "body_replicas": 3}
    average = tiny_settings["training"] | {"average": {}}
    own = {"cuts": tiny_settings["cuts"] | {"bodies": "clusters"}, "clusters": {"count": 2, "warmup_rounds": 0}}
    started = in_process(make_plan(make_config(tiny_settings | own | {"ray": ray, "training": average})))
    yield started
    started.close()


def test_bodies_of_clusters_have_replicas_too(started: Any, tmp_path: Path) -> None:
    """A cluster's clients may all be at one replica; the first saves for all."""
    algorithm, federation = started.plan.algorithm, started.federation
    bodies = [handle._party for handle in started.backend.servers]
    for number in (0, 1):
        started.begin_round(number)
        started.reports(StepId(number, 0))
        found = algorithm.cluster_and_weigh(federation, started.cohort(number, 1), dict.fromkeys(range(6), 32))
        assert set(found.cluster) == set(range(6)), "those of all replicas"
        assert found.faults == ()
        algorithm.aggregate(federation, found, found.cluster)
    written = [body.save(str(tmp_path)) for body in bodies]
    assert written[1:] == [None, None]
    states = [body.state(cluster, []) for cluster in (0, 1) for body in bodies]
    assert all(isinstance(state, State) for state in states)
    for first, *others in (states[:3], states[3:]):
        for other in others:
            for key, block in first.blocks.items():
                assert all(np.array_equal(array, other.blocks[key][name]) for name, array in block.items())


def test_a_replica_of_other_weights_is_told(tiny_settings: dict[str, Any]) -> None:
    several = Bodies(tiny_settings, 2)
    several.step(0)
    next(iter(several.all[1]._trunks[0].blocks["generator"].values()))[0].weight.data[0] += 1e-6
    calls = [partial(body.assign, 0, dict.fromkeys(range(6), 8)) for body in several.all]
    first, _ = several.threads.run(calls)
    assert first.faults == ("body-1 has other weights than body-0: give replicas machines of one kind",)


def test_an_error_in_one_reaches_the_driver_as_it_is() -> None:
    threads = ReplicaThreads(2)

    def fail() -> None:
        raise KeyError("block")

    def wait() -> None:
        import torch

        threads.peers[0].gather(torch.zeros(1))

    with pytest.raises(KeyError, match="block"):
        threads.run([wait, fail])
    threads.close()


def test_more_replicas_than_client_actors_are_refused(tiny_settings: dict[str, Any]) -> None:
    ray = tiny_settings["ray"] | {"clients_per_actor": 2, "body_replicas": 4}
    with pytest.raises(
        ConfigError, match=r"ray.body_replicas: 4, but there are 3 client actors to serve; give at most 3"
    ):
        make_plan(make_config(tiny_settings | {"ray": ray}))
