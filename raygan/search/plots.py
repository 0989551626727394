"""A search's pictures: its metric over the rounds, and what quality costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from raygan.run.folder import RunFolder
from raygan.scores import SCORES
from raygan.search.reported import reported
from raygan.search.results import Results, Trial
from raygan.storage import png_of, read_json_lines, write_bytes

COLOURS = ("#2f6db5", "#e2862f", "#2f9460", "#b5483e", "#7a5fb0", "#8a6d4d", "#c26a9d", "#5d6a78")
MAX_NAMED = 12
NAMES = {
    "latency_s": "predicted latency of an iteration",
    "overlapped_s": "predicted latency of an iteration without barriers",
    "iteration_s": "predicted time of an iteration",
    "round_s": "predicted time of a round",
    "seconds": "time of a round",
    "memory_bytes": "memory of a device",
    "bytes_per_round": "data sent in a round",
    "bytes_per_client": "data sent by a client in a round",
    "bytes_total": "data sent",
}


def draw_curves(results: Results, path: Path) -> Path:
    """The first metric over the rounds, a line a trial, a colour a point."""
    from matplotlib.ticker import MaxNLocator

    figure, (axes,) = _figure(1)
    points: dict[str, str] = {}
    for trial in results.trials:
        curve = _curve(trial, results.metric)
        if not curve:
            continue
        label = _label(results, trial)
        new = label not in points
        colour = points.setdefault(label, COLOURS[len(points) % len(COLOURS)])
        style = {"color": colour, "marker": "o", "markersize": 3, "linewidth": 1.4, "alpha": 0.85}
        axes.plot(*zip(*curve, strict=True), label=label if new and len(points) <= MAX_NAMED else None, **style)
    axes.set_title(f"{results.search.title}: {_name(results.metric)} of each trial", fontsize=9)
    axes.set_xlabel("round")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    _describe(axes.yaxis, results.metric, results.search.config.modes[0])
    if points:
        axes.legend(fontsize=7, frameon=False)
    write_bytes(path, png_of(figure))
    return path


def _curve(trial: Trial, metric: str) -> list[tuple[int, float]]:
    """Rounds and the metric, from the run's `metrics.jsonl`."""
    lines = read_json_lines(RunFolder(trial.run).metrics_file) if trial.run else []
    rows = [reported(line, {}, 0) for line in lines]
    return [(row["round"], row[metric]) for row in rows if metric in row]


def draw_pareto(results: Results, path: Path) -> Path:
    """The first metric against each cost; the Pareto front is filled and connected."""
    costs = [name for name in {**results.objectives, **results.costs} if name != results.metric]
    figure, panels = _figure(len(costs))
    front = [trial.name for trial in results.front()]
    for axes, cost in zip(panels, costs, strict=True):
        known = [t for t in results.candidates() if cost in t.metrics and results.metric in t.metrics]
        points = {t.name: (t.metrics[cost], t.metrics[results.metric]) for t in known}
        for label, style in (("beaten", {"facecolors": "none"}), ("on the front", {})):
            shown = [point for name, point in points.items() if (name in front) == (label != "beaten")]
            axes.scatter([x for x, _ in shown], [y for _, y in shown], edgecolors=COLOURS[0], label=label, **style)
        line = sorted(point for name, point in points.items() if name in front)
        axes.plot([x for x, _ in line], [y for _, y in line], color=COLOURS[0], alpha=0.4, linewidth=1)
        if len(known) <= MAX_NAMED:
            for trial in known:
                at, beside = points[trial.name], (4, 4)
                axes.annotate(_label(results, trial), at, beside, textcoords="offset points", fontsize=6)
        axes.set_title(f"{results.search.title}: {_name(results.metric)} against {_name(cost)}", fontsize=9)
        _describe(axes.xaxis, cost, results.objectives.get(cost, "min"))
        _describe(axes.yaxis, results.metric, results.search.config.modes[0])
        axes.legend(fontsize=7, frameon=False)
    write_bytes(path, png_of(figure))
    return path


def _figure(count: int) -> tuple[Any, list[Any]]:
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(6.2 * count, 4.0), dpi=140, layout="constrained")
    panels = list(figure.subplots(1, count, squeeze=False)[0])
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.tick_params(labelsize=8)
    return figure, panels


def _label(results: Results, trial: Trial) -> str:
    point = {key.split(".")[-1]: trial.point.get(key) for key in results.keys}
    parts = [f"{key} {f'{v:.3g}' if isinstance(v, float) else v}" for key, v in point.items()]
    return ", ".join(parts).replace("$", r"\$")


def _describe(axis: Any, metric: str, mode: str) -> None:
    """Name, unit and better direction of a measure."""
    from matplotlib.ticker import EngFormatter, MaxNLocator, PercentFormatter

    score = metric.split("/")[0]
    if score in {known.reported for known in SCORES.values() if known.is_share}:
        axis.set_major_formatter(PercentFormatter(1))
    elif "bytes" in metric:
        axis.set_major_formatter(EngFormatter("B"))
    elif metric.endswith("_s") or metric == "seconds":
        axis.set_major_formatter(EngFormatter("s"))
    elif metric == "clusters":
        axis.set_major_locator(MaxNLocator(integer=True))
    better = "higher" if mode == "max" else "lower"
    axis.set_label_text(f"{_name(metric)} ({better} is better)")


def _name(metric: str) -> str:
    return NAMES.get(metric, metric.replace("_", " "))
