from __future__ import annotations

import os

import pytest

from raygan.config.loading import make_config
from raygan.run.plan import make_plan
from raygan.simulation.threads import server_threads, worker_threads


@pytest.mark.parametrize(("cores", "expected"), [(2, 1), (6, 2), (16, 5)])
def test_auto_shares_the_cores_among_the_client_actors(
    tiny_settings: dict, monkeypatch: pytest.MonkeyPatch, cores: int, expected: int
) -> None:
    """Three profiles of two clients each are three actors."""
    config = make_config(tiny_settings | {"ray": {"clients_per_actor": 2}})
    num_workers = len(make_plan(config).layout.workers)
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert (worker_threads(num_workers, config), server_threads(config)) == (expected, cores)


def test_a_given_number_is_taken(tiny_settings: dict) -> None:
    config = make_config(tiny_settings | {"ray": {"client_threads": 3, "body_threads": 7}})
    assert (worker_threads(3, config), server_threads(config)) == (3, 7)
    parties = make_plan(config).algorithm.parties()
    assert {spec.threads for spec in parties.workers} == {3}
    assert [spec.threads for spec in parties.servers] == [7]
