"""A body for each cluster (`cuts.bodies: clusters`): who is merged with whom, what each trunk takes over, and resume."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raygan.algorithms.huscf import HuscfGan
from raygan.api import resume, train
from raygan.config.loading import make_config
from raygan.run.plan import make_plan
from raygan.split.body import SharedBody
from raygan.wire.records import Assignment, State, StepId
from tests.conftest import CUTS
from tests.federations import Started, in_process
from tests.run.test_resume import Interrupt, final_arrays
from tests.run.test_round_end import assert_averages

OWN = {
    "cuts": {"solver": "fixed", "fixed": CUTS, "bodies": "clusters"},
    "clusters": {"count": "oracle", "warmup_rounds": 0},
}


@pytest.fixture
def started(tiny_settings: dict[str, Any]) -> Iterator[Started]:
    """Two clusters of three clients, by the true domains, a worker each, after a first round of one step."""
    apart = {"ray": tiny_settings["ray"] | {"clients_per_actor": 1}}
    started = in_process(make_plan(make_config(tiny_settings | OWN | apart)))
    step(started, 0)
    yield started
    started.close()


def step(started: Started, number: int, without: frozenset[int] = frozenset()) -> None:
    """A round of one step."""
    started.begin_round(number)
    started.reports(StepId(number, 0), without)


def end_round(started: Started) -> Assignment:
    algorithm = started.plan.algorithm
    assert isinstance(algorithm, HuscfGan)
    assignment = algorithm.cluster_and_weigh(started.federation, started.cohort(0, 1), dict.fromkeys(range(6), 32))
    algorithm.aggregate(started.federation, assignment, assignment.cluster)
    return assignment


def trunk(started: Started, cluster: int) -> State:
    (state,) = started.backend.fetch([started.federation.server.call(SharedBody.state, cluster, [])])
    assert isinstance(state, State)
    return state


def test_each_takes_over_its_clusters_average(started: Started) -> None:
    before, body = started.states(), started.body_state()
    assignment = end_round(started)
    for cluster in (0, 1):
        members = [client for client, found in assignment.cluster.items() if found == cluster]
        assert len(members) == 3
        assert_averages(trunk(started, cluster), {c: assignment.weight[c] for c in members}, before, body)


def test_a_cluster_is_trained_by_its_own_clients_alone(started: Started, tiny_settings: dict[str, Any]) -> None:
    """What one cluster's clients and its trunk become does not depend on whether the other cluster is there."""
    assignment = end_round(started)
    mine = {client for client, cluster in assignment.cluster.items() if cluster == 0}
    others = frozenset(w.worker for w in started.layout.workers if not mine & set(w.ids))
    assert len(others) == 3
    alone = in_process(started.plan)
    step(alone, 0)
    end_round(alone)
    step(started, 1)
    step(alone, 1, others)
    for client in sorted(mine):
        assert_equal(alone.states()[client], started.states()[client])
    assert_equal(trunk(alone, 0), trunk(started, 0))
    with pytest.raises(AssertionError):
        assert_equal(trunk(alone, 1), trunk(started, 1))
    alone.close()


def assert_equal(one: State, other: State) -> None:
    assert one.blocks.keys() == other.blocks.keys()
    for key, block in one.blocks.items():
        for name, array in block.items():
            np.testing.assert_array_equal(array, other.blocks[key][name], err_msg=f"{key} {name}")


def four_rounds(settings: dict[str, Any]) -> dict[str, Any]:
    """The clusters, and with them the trunks, are two from the end of the second round on."""
    clusters = {"count": 2, "warmup_rounds": 1, "feature_batches": 2}
    training = settings["training"] | {"rounds": 4, "average": {"half_life_images": 100}}
    return settings | OWN | {"clusters": clusters, "training": training}


@pytest.fixture(scope="module")
def whole(tiny_settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    path = tmp_path_factory.mktemp("whole") / "run"
    train(make_config(four_rounds(tiny_settings)), path, in_process=True)
    arrays = final_arrays(path)
    assert sum(name.startswith("cluster-") for name in {key.split("/")[0] for key in arrays}) == 2
    assert {key.split("/")[1].split(".")[0] for key in arrays if key.startswith("body/")} == {"0", "1", "adam"}
    return arrays


def interrupted(settings: dict[str, Any], path: Path) -> Path:
    with pytest.raises(KeyboardInterrupt):
        train(make_config(four_rounds(settings)), path, in_process=True, listener=Interrupt(2, 1))
    return path


def test_a_resumed_run_has_its_bodies_again(
    tiny_settings: dict[str, Any], whole: dict[str, bytes], tmp_path: Path
) -> None:
    path = interrupted(tiny_settings, tmp_path / "run")
    resume(path, in_process=True)
    assert final_arrays(path) == whole


@pytest.mark.slow
def test_actors_have_the_numbers_of_one_process(
    tiny_settings: dict[str, Any], whole: dict[str, bytes], tmp_path: Path
) -> None:
    path = interrupted(tiny_settings, tmp_path / "run")
    resume(path)
    assert final_arrays(path) == whole
