from __future__ import annotations

import os

import pytest

from raygan.config.loading import make_config
from raygan.run.plan import make_plan
from raygan.simulation.threads import body_threads, client_threads


@pytest.mark.parametrize(("cores", "expected"), [(2, 1), (6, 2), (16, 5)])
def test_auto_shares_the_cores_among_the_client_actors(
    tiny_settings: dict, monkeypatch: pytest.MonkeyPatch, cores: int, expected: int
) -> None:
    """Three profiles of two clients each are three actors."""
    config = make_config(tiny_settings | {"ray": {"clients_per_actor": 2}})
    layout = make_plan(config).layout
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert (client_threads(layout, config), body_threads(config)) == (expected, cores)


def test_a_given_number_is_taken(tiny_settings: dict) -> None:
    config = make_config(tiny_settings | {"ray": {"client_threads": 3, "body_threads": 7}})
    assert (client_threads(make_plan(config).layout, config), body_threads(config)) == (3, 7)
