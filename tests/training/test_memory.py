"""No process of a run grows over hundreds of steps, on an object store that is far smaller than what passes through."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.training.memory import STORE_BYTES, growth, measure, show

GROWTH_MIB = 40
"""Between the second and the last quarter: allocators breathe by so much."""


@pytest.mark.slow
def test_memory_is_flat_over_500_steps(tmp_path: Path) -> None:
    watch = measure(500, tmp_path / "run")
    show(watch)
    assert watch.steps >= 500
    table = growth(watch)
    assert len(table) >= 9, "driver, raylet, gcs_server, body, evaluator, aggregators and three client actors"
    assert {name: row for name, row in table.items() if row[1] - row[0] > GROWTH_MIB} == {}
    assert max(store.used for store in watch.store) <= STORE_BYTES
