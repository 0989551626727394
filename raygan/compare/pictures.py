"""A comparison's pictures: scores over client steps and over predicted seconds of the fleet, and who drew what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

import pandas as pd

from raygan.run.folder import RunFolder
from raygan.scores import HEADLINE, SCORES, every_round, names
from raygan.search.reported import reported
from raygan.storage import png_of, read_json_lines

COLOURS = (
    "#2f6db5", "#e2862f", "#2f9460", "#b5483e", "#7a5fb0", "#8a6d4d", "#c26a9d", "#5d6a78", "#a8a032", "#3aa6b0",
)  # fmt: skip
STEPS, SECONDS = "steps of a client", "predicted time of the fleet, s"


def draw_curves(document: Mapping[str, Any]) -> bytes:
    """A PNG: the first metric (where that is computed once, in the end, the label agreement) over client steps and, where
    they are predicted, over the fleet's seconds; a line for each variant, mean over its seeds."""
    from matplotlib.figure import Figure  # slow to import

    asked: str = document["metric"]
    metric = asked if asked.split("/")[0] in names(every_round()) else HEADLINE
    is_share = any(score.is_share for score in SCORES.values() if score.reported == metric.split("/")[0])
    scale, unit = (100, "%") if is_share else (1, "no unit")
    curves = {v["name"]: _curve([Path(run) for run in v["runs"]], metric) for v in document["variants"]}
    axes_of = [name for name in (STEPS, SECONDS) if any(name in curve for curve in curves.values())]
    figure = Figure(figsize=(6.4 * max(1, len(axes_of)) + 1.6, 4.2), dpi=140, layout="constrained")
    panels = figure.subplots(1, max(1, len(axes_of)), squeeze=False)[0]
    for axes, along in zip(panels, axes_of, strict=False):
        for number, (name, curve) in enumerate(curves.items()):
            if along in curve:
                axes.plot(curve[along], scale * curve["score"], label=name.replace("$", r"\$"), **_style(number))
        axes.set_xlabel(along)
        axes.set_ylabel(f"{metric.replace('_', ' ')}, {unit}")
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.tick_params(labelsize=8)
        axes.set_xscale("log" if along == SECONDS else "linear")
    if axes_of:
        figure.legend(*panels[0].get_legend_handles_labels(), fontsize=7, frameon=False, loc="outside right center")
    return png_of(figure)


def _style(number: int) -> dict[str, Any]:
    """Of a variant's line: colours, then the same ones dashed, then dotted."""
    again, colour = divmod(number, len(COLOURS))
    dashes = ("solid", "dashed", "dotted")[again % 3]
    return {"color": COLOURS[colour], "linestyle": dashes, "marker": "o", "markersize": 3, "linewidth": 1.5}


def _curve(runs: Sequence[Path], metric: str) -> pd.DataFrame:
    """Columns `score`, client steps and predicted seconds; a row a scored round, mean over the runs."""
    frames = [frame for run in runs if not (frame := _of_run(RunFolder(run), metric)).empty]
    if not frames:
        return pd.DataFrame({"score": []})
    return pd.concat(frames).groupby(level=0).mean()


def _of_run(folder: RunFolder, metric: str) -> pd.DataFrame:
    lines = read_json_lines(folder.metrics_file)
    steps = list(accumulate(line.get("steps") or 0 for line in lines))
    rows: dict[int, dict[str, float]] = {}
    documents, seconds = folder.documents(), 0.0
    for line, done in zip(lines, steps, strict=True):
        report = reported(line, documents, 0)
        seconds += report.get("round_s", 0.0)
        if metric in report:
            rows[line["round"]] = {"score": report[metric], STEPS: done, **({SECONDS: seconds} if seconds else {})}
    return pd.DataFrame(rows.values(), index=list(rows))


def samples_of(run: Path) -> dict[str, Path]:
    """Domain -> the last picture of the model that serves most of its clients."""
    folder = RunFolder(run)
    scored = [line for line in read_json_lines(folder.metrics_file) if line.get("scores") and line.get("samples")]
    if not scored:
        return {}
    found: dict[str, Path] = {}
    for domain, scores in scored[-1]["scores"].items():
        models = scores.get("clusters", {})
        if models:
            largest = max(models, key=lambda number: models[number]["clients"])
            files = (folder.samples / name for name in scored[-1]["samples"] if name.endswith(f"-{largest}.png"))
            if file := next((file for file in files if file.is_file()), None):
                found[domain] = file
    return found
