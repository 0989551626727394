"""One small Ray for this folder's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import ray

CUSTOM = {"small": 4, "medium": 4, "large": 4, "body": 1}


@pytest.fixture(scope="module")
def small_ray() -> Iterator[None]:
    ray.init(
        "local",
        num_cpus=2,
        resources=CUSTOM,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
    )
    yield
    ray.shutdown()


@pytest.fixture
def samples(tmp_path: Path) -> str:
    return str(tmp_path / "samples")
