"""A search's pictures: its metric over the rounds, and what quality costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from raygan.search.results import OBJECTIVES, Results

COLOURS = ("#2f6db5", "#e2862f", "#2f9460", "#b5483e", "#7a5fb0", "#8a6d4d", "#c26a9d", "#5d6a78")
MAX_NAMED = 12
NAMES = {"latency_s": "predicted latency, seconds an iteration", "bytes_per_round": "bytes a round"}


def draw_curves(results: Results, path: Path) -> Path:
    """The first metric over the rounds, a line a trial, a colour a point."""
    figure, (axes,) = _figure(1)
    curves = {name: curve for name, curve in results.curves().items() if curve[0]}
    points: dict[str, str] = {}
    for trial in results.trials:
        if trial.name in curves:
            label = _label(results, trial)
            new = label not in points
            colour = points.setdefault(label, COLOURS[len(points) % len(COLOURS)])
            axes.plot(
                *curves[trial.name],
                color=colour,
                marker="o",
                markersize=3,
                linewidth=1.4,
                alpha=0.85,
                label=label if new and len(points) <= MAX_NAMED else None,
            )
    axes.set_xlabel("round")
    axes.set_ylabel(_named(results.metric))
    if points:
        axes.legend(fontsize=7, frameon=False)
    return _saved(figure, path)


def draw_pareto(results: Results, path: Path) -> Path:
    """The first metric against each cost; the Pareto front is filled and connected."""
    costs = [name for name, _ in results.objectives[1:]]
    costs += [name for name, _ in OBJECTIVES if name not in costs]
    figure, panels = _figure(len(costs))
    front = {id(trial) for trial in results.front()}
    for axes, cost in zip(panels, costs, strict=True):
        known = [t for t in results.candidates() if cost in t.metrics and results.metric in t.metrics]
        for chosen, style in ((False, {"facecolors": "none"}), (True, {})):
            part = [trial for trial in known if (id(trial) in front) == chosen]
            places = [t.metrics[cost] for t in part], [t.metrics[results.metric] for t in part]
            axes.scatter(
                *places, edgecolors=COLOURS[0], label="on the front" if chosen else "beaten", **style
            )
        line = sorted((t.metrics[cost], t.metrics[results.metric]) for t in known if id(t) in front)
        axes.plot([x for x, _ in line], [y for _, y in line], color=COLOURS[0], alpha=0.4, linewidth=1)
        axes.set_xlabel(_named(cost))
        axes.set_ylabel(_named(results.metric))
        axes.legend(fontsize=7, frameon=False)
    return _saved(figure, path)


def _figure(count: int) -> tuple[Any, list[Any]]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.2 * count, 4.0), dpi=140, layout="constrained")
    FigureCanvasAgg(figure)
    panels = list(figure.subplots(1, count, squeeze=False)[0])
    for axes in panels:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.tick_params(labelsize=8)
    return figure, panels


def _label(results: Results, trial: Any) -> str:
    parts = [f"{key.split('.')[-1]} {_short(trial.point.get(key))}" for key in results.keys]
    return ", ".join(parts).replace("$", r"\$")


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _named(metric: str) -> str:
    return NAMES.get(metric, metric.replace("_", " "))


def _saved(figure: Any, path: Path) -> Path:
    figure.savefig(path, format="png")
    return path
