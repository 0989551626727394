"""Curves over the rounds: losses and scores, as PNGs."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from raygan.report.html import Html, picture
from raygan.report.record import Record
from raygan.scores import SCORES, with_count

COLOURS = ("#2f6db5", "#e2862f", "#2f9460", "#b5483e", "#7a5fb0", "#8a6d4d", "#c26a9d", "#5d6a78")
NORM = "_gradient_norm"
"""How names of statistics end that are norms of gradients."""
Points = tuple[Sequence[int], Sequence[float]]


def score_charts(record: Record) -> list[Html]:
    """A chart for each score that has a title and was computed, a line for each domain; dashed: its real images."""
    charts = []
    for name, score in SCORES.items():
        if score.title is None:
            continue
        lines = {domain: _score_points(record, domain, name) for domain in record.domains}
        lines = {domain: points for domain, points in lines.items() if points[0]}
        if lines:
            marks = {
                domain: ((record.scores.get(domain) or {}).get("real") or {}).get(name) for domain in lines
            }
            count = next((entry.get("images") for entry in record.scores.values()), None)
            label = with_count(name, count) if count else name
            title = f"{score.title} ({'higher' if score.mode == 'max' else 'lower'} is better)"
            charts.append(_chart(lines, title, label.replace("_", " "), marks))
    return charts


def training_charts(record: Record) -> list[Html]:
    """Losses of both networks and the algorithm's statistics, as far as a round has any."""
    found = {name for entry in record.rounds for name in entry.get("statistics", {})}
    norms = {name for name in found if name.endswith(NORM)}
    charts = [
        _training_chart(record, ("discriminator_loss", "generator_loss"), "Losses", "loss"),
        _training_chart(record, sorted(found - norms), "Training statistics", "mean"),
        _training_chart(record, sorted(norms), "Gradients, L2 norm over a party's blocks", "norm"),
    ]
    return [chart for chart in charts if chart is not None]


def _training_chart(record: Record, names: Sequence[str], title: str, label: str) -> Html | None:
    lines = {
        name.removesuffix(f"_{label}").removesuffix(NORM).replace("_", " "): _points(
            record.rounds, lambda entry, name=name: {**entry, **entry.get("statistics", {})}.get(name)
        )
        for name in names
    }
    lines = {name: points for name, points in lines.items() if points[0]}
    return _chart(lines, f"{title}: mean over clients and steps", label, {}) if lines else None


def _score_points(record: Record, domain: str, name: str) -> Points:
    return _points(record.scored, lambda entry: (entry["scores"].get(domain) or {}).get(name))


def _points(rounds: Sequence[Mapping[str, Any]], value: Any) -> Points:
    pairs = [(entry["round"], value(entry)) for entry in rounds]
    known = [(number, found) for number, found in pairs if found is not None]
    return [number for number, _ in known], [found for _, found in known]


def _chart(lines: Mapping[str, Points], title: str, label: str, marks: Mapping[str, float | None]) -> Html:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(5.6, 3.1), dpi=140, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for number, (name, (rounds, values)) in enumerate(lines.items()):
        colour = COLOURS[number % len(COLOURS)]
        axes.plot(rounds, values, color=colour, label=_plain(name), marker="o", markersize=3, linewidth=1.6)
        mark = marks.get(name)
        if mark is not None:
            axes.axhline(mark, color=colour, linestyle="--", linewidth=1, alpha=0.7)
    axes.set_title(_plain(title), fontsize=9, loc="left")
    axes.set_xlabel("round", fontsize=8)
    axes.set_ylabel(label, fontsize=8)
    numbers = [number for rounds, _ in lines.values() for number in rounds]
    axes.set_xlim(min(numbers) - 0.5, max(numbers) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, frameon=False)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return picture(buffer.getvalue(), title)


def _plain(text: str) -> str:
    """Without what matplotlib would read as mathematics, or hide from the legend."""
    return text.replace("$", r"\$").lstrip("_") or "-"
