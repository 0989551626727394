"""`raygan compare`: what a person sees of a comparison while it goes on, and its answer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from ray.tune import ResultGrid
from rich.filesize import decimal

from raygan.cli.screen import Screen
from raygan.cli.tables import FittingTable, rows_table
from raygan.cli.trials import Progress
from raygan.compare.document import Document, check_comparison
from raygan.compare.words import (
    answer,
    cost,
    difference_in_words,
    score_in_words,
    score_names,
    variant_in_words,
)
from raygan.compare.write import write_comparison
from raygan.search.results import collect
from raygan.search.search import Search, read_search
from raygan.search.trial import SEARCH_FILE
from raygan.search.tuner import check_search, resume_search, run_search

DEFAULT = Path(__file__).parent.parent / "compare" / "demo.yaml"


def compare_and_show(
    file: Path | None, overrides: Sequence[str], out: Path | None, as_json: bool, screen: Screen
) -> int:
    """Runs a comparison; returns the exit status: 0, or 1 where a variant has no score.

    Args:
        file: the comparison; None: every algorithm on the demo.
        as_json: one JSON document on standard output; the screen is then standard error's.

    Raises:
        InputError: a mistake in the file, or a comparison that does not fit; before anything is written.
    """
    search = read_search(file or DEFAULT, overrides)
    check_comparison(search)
    screen.tell("checking every variant's configuration ...")
    checked = check_search(search)
    search = checked.search
    folder = out or Path("runs") / f"compare-{search.name}-{datetime.now():%Y%m%d-%H%M%S}"
    count, seeds = len(search.config.variants), len(search.config.seeds)
    screen.tell(
        f"{count} variants, {seeds} seed{'s' if seeds > 1 else ''}, {search.config.concurrency} at a time, in {folder}"
    )
    progress = Progress(search.config.metric[0], checked.num_trials)
    grid = run_search(checked, folder, [progress], screen.warn)
    return _shown(screen, search, grid, folder, as_json)


def resume_and_show(folder: Path, address: str | None, as_json: bool, screen: Screen) -> int:
    """Continues a comparison; returns the exit status as `compare_and_show`."""
    if (folder / SEARCH_FILE).exists():
        check_comparison(read_search(folder / SEARCH_FILE))
    grid = resume_search(folder, address, screen.warn)
    return _shown(screen, read_search(folder / SEARCH_FILE), grid, folder, as_json)


def _shown(screen: Screen, search: Search, grid: ResultGrid, folder: Path, as_json: bool) -> int:
    """Writes the comparison's files, prints its table and its answer."""
    results = collect(search, grid)
    for trial in results.trials:
        if trial.error:
            screen.warn(f"{trial.name} failed: {trial.error}")
    document, written = write_comparison(results, folder)
    if as_json:
        print(json.dumps(document, indent=1))
    else:
        screen.show(scores_table(document))
        screen.tell(answer(document))
        for path in written:
            screen.tell(f"wrote {path}")
    unfinished = [trial for trial in results.trials if not trial.ended and not trial.error]
    if unfinished:
        screen.tell(f"{len(unfinished)} trials are not done: raygan compare --resume {folder}")
    return 0 if all(document["metric"] in variant["scores"] for variant in document["variants"]) else 1


def scores_table(document: Document) -> FittingTable:
    """A row a variant, best first."""
    metric, names = document["metric"], score_names(document)
    rows = [
        {
            "variant": variant_in_words(variant),
            **{name.replace("_", " "): score_in_words(name, variant["scores"].get(name)) for name in names},
            f"against {document['reference']}": difference_in_words(metric, variant["differences"].get(metric)),
            "iteration": cost(variant, "iteration_s", lambda s: f"{s:.3g} s"),
            "bytes a client": cost(variant, "bytes_per_client", lambda b: decimal(int(b))),
        }
        for variant in document["variants"]
    ]
    return rows_table(document["question"], rows)
