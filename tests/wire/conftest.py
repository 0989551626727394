"""What this folder's tests share."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def samples(tmp_path: Path) -> str:
    return str(tmp_path / "samples")
