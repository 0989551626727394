"""What the tests of algorithms share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raygan.api import train
from raygan.config.loading import make_config


@pytest.fixture(scope="module")
def settings(tiny_settings: dict[str, Any], algorithm: str) -> dict[str, Any]:
    """Four rounds of an algorithm of whole networks, two actors with three clients each."""
    alone = {
        "algorithm": algorithm,
        "training": tiny_settings["training"] | {"rounds": 4},
        "ray": tiny_settings["ray"] | {"clients_per_actor": 3},
        "devices": tiny_settings["devices"] | {"fleet": ["small", "medium"]},
        "checkpoints": {"keep": None},
    }
    return {key: value for key, value in tiny_settings.items() if key not in ("clusters", "cuts")} | alone


@pytest.fixture(scope="module")
def whole(settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run in this process, without interruption."""
    return train(make_config(settings), tmp_path_factory.mktemp("whole") / "run", in_process=True).path
