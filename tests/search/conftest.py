"""Small searches over one small federation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from raygan.search.search import Search, read_search


@pytest.fixture
def searching(search_file: Path) -> Callable[..., Search]:
    """That search with `key=value` overrides."""
    return lambda *overrides: read_search(search_file, overrides)


def more_keys(chosen: dict) -> dict:
    """A conditional space: beta only where there are clusters to weigh in."""
    return {"clusters.beta": {"uniform": [1, 2]}} if chosen["clusters.count"] == 2 else {}


def no_keys(chosen: dict) -> list:
    """Not what a conditional function may return."""
    return []


def same_keys(chosen: dict) -> dict:
    """A key that the space has already."""
    return {"training.lr": 1e-3}
