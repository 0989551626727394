"""Addresses that cannot be joined."""

from __future__ import annotations

import pytest

from raygan.config.loading import make_config
from raygan.config.schema import Config
from raygan.errors import ConfigError
from raygan.runtime.ray.cluster import _is_refused, ray_with


def joining(address: str) -> str:
    with (
        pytest.raises(ConfigError) as raised,
        ray_with({}, make_config({"ray": {"address": address}}), "tests"),
    ):
        pass
    return str(raised.value)


def test_a_ray_clients_address_is_refused() -> None:
    assert joining("ray://127.0.0.1:10001") == (
        "ray.address: 'ray://127.0.0.1:10001' is a Ray client's address: the driver would be no part of the cluster; "
        "run raygan on a node (`ray job submit ... -- raygan train`), with --address auto"
    )


def test_an_address_where_nobody_listens_is_told_at_once() -> None:
    assert joining("127.0.0.1:1").startswith("ray.address: no Ray cluster at '127.0.0.1:1'")


def test_a_missing_token_is_found_behind_rays_own_error() -> None:
    error = ConnectionError("Failed to connect to Ray cluster")
    assert not _is_refused(error)
    error.__cause__ = RuntimeError("RPC error: InvalidAuthToken: Authentication token is missing or incorrect")
    assert _is_refused(error)


def test_a_ray_that_does_not_start_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_TMPDIR", "/proc/nowhere")  # where nobody can write
    with pytest.raises(ConfigError) as raised, ray_with({}, Config(), "tests"):
        pass
    found, remedy = str(raised.value).split("; ")
    assert found.startswith("ray: Ray did not start on this machine (")
    assert "nowhere" in found
    assert remedy == "try again when it has less to do, or train with --in-process"
