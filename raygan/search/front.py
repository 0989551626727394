"""A search from Python: `raygan.tune`."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ray.tune import Callback, ResultGrid

from raygan.search.plots import draw_curves, draw_pareto
from raygan.search.results import collect, write_results
from raygan.search.search import default_folder, read_search, search_of
from raygan.search.tuner import check_search, run_search


def tune(
    search: str | Path | Mapping[str, Any],
    out: str | Path | None = None,
    *,
    changes: Sequence[str] = (),
    callbacks: Sequence[Callback] = (),
    warn: Callable[[str], None] = print,
) -> ResultGrid:
    """Runs a search as `raygan tune` does, and writes what it writes.

    Args:
        search: a file such as `tune_configs/smoke.yaml`, or its keys.
        out: the search's folder; None: a new one under `runs/`.
        changes: `key=value` of the search, such as `base.training.rounds=3`.
        callbacks: Ray Tune's, told of trials and results.
        warn: told of what does not stop the search.

    Returns:
        Ray Tune's results, one a trial: `metrics` of the last round, `path`, `metrics_dataframe`.

    Raises:
        InputError: a mistake in the search, or one that does not fit the cluster; before anything is written.
    """
    read = search_of(search, changes) if isinstance(search, Mapping) else read_search(search, changes)
    folder = default_folder(read) if out is None else Path(out)
    grid = run_search(check_search(read), folder, callbacks, warn)
    results = collect(read, grid)
    write_results(results, folder)
    if results.best() is not None:
        draw_curves(results, folder / "curves.png")
        draw_pareto(results, folder / "pareto.png")
    return grid
