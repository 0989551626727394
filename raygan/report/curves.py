"""Curves over the rounds: losses and scores, as PNGs that a dark page inverts."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import fill

import pandas as pd

from raygan.markup import Picture
from raygan.report.record import Record
from raygan.scores import SCORES, with_count
from raygan.storage import png_of

PALETTE = ("#2f6db5", "#a85a1c", "#257a4e", "#b5483e", "#7a5fb0", "#846746", "#a5447c", "#5d6a78")
"""Dark enough for white numbers, and for lines on white."""
TITLE_WIDTH = 56
"""Letters in a line."""
NORM = "_gradient_norm"
"""How names of statistics end that are norms of gradients."""


def score_charts(record: Record) -> list[Picture]:
    """A chart for each score that has a title and was computed, a line for each domain; dashed: its real images."""
    charts = []
    count = next((entry.get("images") for entry in record.scores.values()), None)
    rounds = {line["round"]: line["scores"] for line in record.scored}
    for name, score in SCORES.items():
        if score.title is None:
            continue
        rows = [{name: score.shown(entry) for name, entry in line.items()} for line in rounds.values()]
        marks = {domain: score.shown(entry.get("real") or {}) for domain, entry in record.scores.items()}
        title = f"{score.title} ({'higher' if score.mode == 'max' else 'lower'} is better)"
        label = with_count(name, count) if count else name
        charts += _chart(pd.DataFrame(rows, rounds), title, f"{label.replace('_', ' ')}, {score.unit}", marks)
    return charts


def loss_charts(record: Record) -> list[Picture]:
    """Of both networks."""
    rows = {line["round"]: line for line in record.rounds}
    lines = pd.DataFrame(rows.values(), rows).reindex(columns=["discriminator_loss", "generator_loss"])
    lines.columns = ["discriminator", "generator"]
    unit = "nats" if record.config.training.loss == "bce" else "no unit"
    return _chart(lines, "Losses: mean over clients and steps", f"loss, {unit}", {})


def training_charts(record: Record) -> list[Picture]:
    """The algorithm's statistics, as far as a round has any."""
    rows = {line["round"]: line | line.get("statistics", {}) for line in record.rounds}
    values = pd.DataFrame(rows.values(), rows)
    names = sorted({name for line in record.rounds for name in line.get("statistics", {})})
    norms = [name for name in names if name.endswith(NORM)]
    charts = []
    for chosen, suffix, title, label in (
        ([name for name in names if name not in norms], "", "Training statistics", "mean, no unit"),
        (norms, NORM, "Gradients, L2 norm over a party's blocks", "norm, no unit"),
    ):
        lines = values.reindex(columns=chosen)
        lines.columns = [name.removesuffix(suffix).replace("_", " ") for name in chosen]
        charts += _chart(lines, f"{title}: mean over clients and steps", label, {})
    return charts


def _chart(values: pd.DataFrame, title: str, label: str, marks: Mapping[str, float | None]) -> list[Picture]:
    """A line a column over the rounds; nothing where no value is known.

    Args:
        label: of the vertical axis.
        marks: column -> where a dashed line goes.
    """
    from matplotlib.figure import Figure  # slow to import
    from matplotlib.ticker import MaxNLocator

    lines = values.astype(float).dropna(axis="columns", how="all").dropna(how="all")
    if lines.empty:
        return []
    figure = Figure(figsize=(4.9, 3.0), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for number, (name, line) in enumerate(lines.items()):
        known, colour = line.dropna(), PALETTE[number % len(PALETTE)]
        axes.plot(known, color=colour, label=_plain(name), marker="o", markersize=3, linewidth=1.6)
        mark = marks.get(name)
        if mark is not None:
            axes.axhline(mark, color=colour, linestyle="--", linewidth=1, alpha=0.7)
    axes.set_title(fill(_plain(title), TITLE_WIDTH), fontsize=9, loc="left")
    axes.set_xlabel("round", fontsize=8)
    axes.set_ylabel(label, fontsize=8)
    axes.set_xlim(lines.index.min() - 0.5, lines.index.max() + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.tick_params(labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, frameon=False)
    return [Picture(png_of(figure), title, "plot")]


def _plain(text: str) -> str:
    """Without what matplotlib would read as mathematics, or hide from the legend."""
    return text.replace("$", r"\$").lstrip("_") or "-"
