"""A run that was kept, for all tests that only read it or copy it."""

from __future__ import annotations

from pathlib import Path

import pytest

import raygan
from raygan.config.loading import make_config


@pytest.fixture(scope="session")
def kept(tiny_settings: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rounds of the tiny federation."""
    path = tmp_path_factory.mktemp("stored") / "run"
    return raygan.train(make_config(tiny_settings), path, in_process=True).path
