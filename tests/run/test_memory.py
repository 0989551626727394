"""No process of a run grows over hundreds of steps, on an object store that is far smaller than what passes through."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.run.memory import MIB, STORE_BYTES, growth, measure, show

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


@pytest.mark.slow
def test_a_run_whose_steps_do_not_fit_spills_and_ends(tmp_path: Path) -> None:
    """Sixteen steps ahead of a batch of 256 images a client are more than the store holds."""
    large = {"batch_size": 256, "rounds": 3, "local_epochs": 2}
    watch = measure(0, tmp_path / "run", training=large, ray={"clients_per_actor": 2, "steps_ahead": 16})
    used, spilled = max(store.used for store in watch.store), watch.store[-1].spilled
    print(f"{watch.steps} steps, most used {used / MIB:.0f} MiB, spilled {spilled / MIB:.0f} MiB")
    assert spilled > 0
    assert used <= STORE_BYTES * 1.05
    assert (tmp_path / "run" / "summary.json").exists()
