"""`raygan tune`: what a person sees of a search while it goes on, and its answer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from ray.tune import ResultGrid

from raygan.cli.going_on import GOING_ON
from raygan.cli.screen import Screen
from raygan.cli.tables import FittingTable, rows_table
from raygan.cli.trials import Progress, short, shown, words
from raygan.report import write_report
from raygan.scores import every_round, names
from raygan.search.plots import draw_curves, draw_pareto
from raygan.search.results import Results, Trial, collect, write_results
from raygan.search.search import Search, default_folder, read_search
from raygan.search.trial import SEARCH_FILE
from raygan.search.tuner import check_search, check_searched, resume_search, run_search, stopped_grid


def search_and_show(file: Path, overrides: Sequence[str], out: Path | None, screen: Screen) -> int:
    """Runs a search; returns the exit status: 0, or 1 where no trial has a score.

    Raises:
        InputError: a mistake in the file, or a search that does not fit; before anything is written.
    """
    screen.tell("checking every trial's configuration ...")
    checked = check_search(read_search(file, overrides))
    search, config = checked.search, checked.search.config
    folder = out or default_folder(search)
    needs = ", ".join(f"{amount:g} {name}" for name, amount in checked.needs.items())
    trials = f"{checked.num_trials} trial{'s' if checked.num_trials > 1 else ''}"
    screen.tell(f"{trials}, {config.concurrency} at a time; one reserves at most {needs}")
    progress = Progress(config.metric[0], checked.num_trials)
    return _followed(screen, search, folder, lambda: run_search(checked, folder, [progress], screen.warn))


def resume_and_show(folder: Path, address: str | None, screen: Screen) -> int:
    """Continues a search; returns the exit status as `search_and_show`."""
    check_searched(folder)
    search = read_search(folder / SEARCH_FILE)
    return _followed(screen, search, folder, lambda: resume_search(folder, address, screen.warn))


def _followed(screen: Screen, search: Search, folder: Path, run: Callable[[], ResultGrid]) -> int:
    """Runs a search and shows what came of it, also where a signal stops it."""
    GOING_ON.begin("raygan tune --resume", folder, SEARCH_FILE)
    screen.tell(f"writing to {folder}")
    try:
        grid = run()
    except KeyboardInterrupt:
        if (stopped := stopped_grid(folder)) is not None:
            _shown(screen, search, stopped, folder)
        raise
    return _shown(screen, search, grid, folder)


def _shown(screen: Screen, search: Search, grid: ResultGrid, folder: Path) -> int:
    """Writes the results, prints the table and the answer."""
    results = collect(search, grid)
    written = write_results(results, folder)
    for trial in results.trials:
        if trial.error:
            screen.warn(f"{trial.name} failed: {trial.error}")
    groups, best = results.groups(), results.best()
    if groups.empty or best is None:
        screen.warn("no trial has a score")
        _tell_unfinished(screen, results, folder)
        return 1
    written += [draw_curves(results, folder / "curves.png"), draw_pareto(results, folder / "pareto.png")]
    if best.run is not None:
        written.append(write_report(best.run))
    screen.show(answer_table(results, groups))
    screen.tell(answer(results, groups, best))
    for path in written:
        screen.tell(f"wrote {path}")
    _tell_unfinished(screen, results, folder)
    return 0


def _tell_unfinished(screen: Screen, results: Results, folder: Path) -> None:
    if unfinished := [trial for trial in results.trials if not trial.ended and not trial.error]:
        screen.tell(f"{len(unfinished)} trials are not done: raygan tune --resume {folder}")


def answer_table(results: Results, groups: pd.DataFrame) -> FittingTable:
    """A row a point, best first, with the spread over its seeds."""
    always = [*names(every_round()), "cluster_agreement", "latency_s", "bytes_per_round"]
    measures = [name for name in dict.fromkeys([*results.search.config.metric, *always]) if name in groups]
    rows = [
        {
            **{key: short(row[key]) for key in results.keys},
            **{words(name): _with_spread(row, name) for name in measures},
            **({"clusters": row["clusters"]} if "clusters" in groups else {}),
            **{name: f"{row[name]:g}" for name in ("trials", "rounds")},
        }
        for _, row in groups.iterrows()
    ]
    title = results.search.config.question or f"Which {', '.join(results.keys)} is best?"
    return rows_table(title, rows, words=len(results.keys))


def answer(results: Results, groups: pd.DataFrame, best: Trial) -> str:
    """One line: the best point, and whether the next is as good, or within the spread over seeds."""
    metric = results.metric
    rows = [row for _, row in groups.iterrows()]
    first = next(r for r in rows if all(_same(r[key], best.point.get(key)) for key in results.keys))
    seeds = f" over {first['trials']:g} seeds" if first["trials"] > 1 else ""
    text = f"best: {_point(results, best.point)} ({words(metric)} {_with_spread(first, metric)}{seeds}; {best.name})"
    following = next((row for row in rows if row is not first), None)
    if following is None:
        return text
    name = _point(results, following)
    if first[metric] == following[metric]:
        return f"{text}; {name} scores the same"
    spread = max(first[f"{metric}_std"], following[f"{metric}_std"])
    if pd.notna(spread) and abs(first[metric] - following[metric]) <= spread:
        return f"{text}; {name} is within the spread over seeds"
    return text


def _point(results: Results, point: Mapping[str, Any] | pd.Series[Any]) -> str:
    return ", ".join(f"{key}={short(point.get(key))}" for key in results.keys)


def _same(a: Any, b: Any) -> bool:
    return bool(a == b or (pd.isna(a) and pd.isna(b)))


def _with_spread(row: pd.Series, name: str) -> str:
    spread = row[f"{name}_std"]
    value = shown(name, row[name])
    return value if pd.isna(spread) or not spread else f"{value} ± {shown(name, spread)}"
