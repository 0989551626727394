"""What is counted of what the actors tell, without Ray."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from raygan.telemetry import recorder
from raygan.telemetry.recorder import Recorder
from raygan.wire.records import Usage

Seconds = Counter[tuple[str, str]]


class Published:
    """Stands for Ray's counters, gauges and histograms, and for the clock."""

    def __init__(self) -> None:
        self.now = 100.0
        self.actor_seconds: Seconds = Counter()
        self.cluster_sizes: dict[str, float] = {}
        self.epsilons: dict[tuple[str, str], float] = {}
        self.names: set[str] = set()

    def metric(self, name: str, *_: Any) -> SimpleNamespace:
        """One of any kind."""

        def inc(amount: float, tags: dict[str, str]) -> None:
            if name == "raygan_actor_seconds":
                self.actor_seconds[tags["actor"], tags["state"]] += amount

        def set_(value: float, tags: dict[str, str]) -> None:
            self.names.add(name)
            if name == "raygan_epsilon":
                self.epsilons[tags["client"], tags["delta"]] = value
            if name == "raygan_cluster_size":
                self.cluster_sizes[tags["cluster"]] = value

        return SimpleNamespace(inc=inc, set=set_, observe=lambda *_: None)


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> Published:
    made = Published()
    kinds = dict.fromkeys(("Counter", "Gauge", "Histogram"), made.metric)
    monkeypatch.setattr(recorder, "metrics", SimpleNamespace(**kinds))
    monkeypatch.setattr(recorder, "time", SimpleNamespace(perf_counter=lambda: made.now))
    return made


def used(wait_s: float, work_s: float, send_s: float) -> Usage:
    return Usage(wait_s, work_s, send_s, cpu_s=0.0, memory_bytes=1)


def of(seconds: Seconds, actor: str) -> dict[str, float]:
    return {state: amount for (name, state), amount in seconds.items() if name == actor}


def test_the_first_round_counts(published: Published) -> None:
    run = Recorder("run")
    published.now += 10
    run.on_usage({"body": used(3, 5, 1)})
    assert of(published.actor_seconds, "body") == {"wait": 3, "work": 5, "send": 1, "queue": 1}


def test_later_rounds_count_what_was_added(published: Published) -> None:
    run = Recorder("run")
    for wait_s, work_s in ((3, 5), (6, 10)):
        published.now += 10
        run.on_usage({"body": used(wait_s, work_s, 0)})
    assert of(published.actor_seconds, "body") == {"wait": 6, "work": 10, "queue": 4}


def test_an_actor_that_comes_later_is_not_idle_before_it_is_there(published: Published) -> None:
    run = Recorder("run")
    published.now += 1000
    run.on_usage({"body": used(0, 1000, 0)})
    published.now += 10
    run.on_usage({"body": used(0, 1010, 0), "aggregator-1": used(1, 2, 1)})
    assert of(published.actor_seconds, "aggregator-1") == {"wait": 1, "work": 2, "send": 1, "queue": 6}


def test_a_restarted_actor_counts_from_its_new_beginning(published: Published) -> None:
    run = Recorder("run")
    for work_s in (9, 4):
        published.now += 10
        run.on_usage({"client-00": used(0, work_s, 0)})
    assert of(published.actor_seconds, "client-00") == {"work": 13, "queue": 7}


ROUND: dict[str, Any] = {
    "round": 1, "train_seconds": 1.0, "end_seconds": 0.1, "evaluation_seconds": None, "body_seconds": {},
    "links": {}, "absent_steps": {}, "lost_actors": [], "scores": {},
}  # fmt: skip


def test_an_algorithm_without_clusters_has_none_of_their_metrics(published: Published) -> None:
    Recorder("run").on_round(ROUND)
    assert published.names == {"raygan_round", "raygan_round_seconds"}


def test_a_cluster_that_is_gone_has_no_members(published: Published) -> None:
    """Identities last: the number of clusters says nothing of which there are."""
    run = Recorder("run")
    for sizes in ({"0": 2, "1": 4}, {"1": 1, "5": 5}):
        run.on_round(ROUND | {"clusters": 2, "cluster_agreement": None, "cluster_sizes": sizes})
    assert published.cluster_sizes == {"0": 0, "1": 1, "5": 5}


def test_each_clients_epsilon_at_the_runs_delta(published: Published) -> None:
    Recorder("run").on_round(ROUND | {"privacy": {"delta": 1e-5, "clients": {"0": 1.5, "3": 2.25}}})
    assert published.epsilons == {("0", "1e-05"): 1.5, ("3", "1e-05"): 2.25}
