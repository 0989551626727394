"""Tiny domains for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from raygan.data import forget_domains

from .tiny import tiny_fields


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    yield
    forget_domains()


@pytest.fixture
def make_npz(tmp_path: Path) -> Callable[..., str]:
    """Writes the tiny domain, with changes, and gives its path; a change to None leaves the array out."""

    def make(name: str = "tiny.npz", *, changes: dict[str, Any] | None = None, **form: int) -> str:
        fields = tiny_fields(**form) | (changes or {})
        path = tmp_path / name
        np.savez(path, **{key: value for key, value in fields.items() if value is not None})
        return str(path)

    return make
