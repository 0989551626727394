"""`raygan cuts --leakage`: every allowed cut with what it costs and what it tells."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from raygan.cli.tables import make_console, rows_table
from raygan.cuts import Study
from raygan.cuts.leakage import Leakage
from raygan.storage import png_of, write_bytes


def show_leakage(study: Study, leakage: Leakage, out: Path | None, as_json: bool) -> None:
    """Prints and draws every pair of cuts: seconds of an iteration in which everybody has it, and what it tells.

    Args:
        out: the picture; None: none.
    """
    rows = _rows(study, leakage)
    drawn = None
    if out is not None:
        write_bytes(out, _picture(study, rows))
        drawn = str(out)
    if as_json:
        document = {**study.to_json(), "leakage": rows, "picture": drawn}
        print(json.dumps(document, indent=2, allow_nan=False))
        return
    console = make_console()
    title = "cuts (h, t) that everybody has, how long an iteration takes and what the server finds out"
    console.print(rows_table(title, [_shown(row) for row in rows], words=2))
    console.print(rows_table("chosen", _chosen(study, leakage), words=3))
    if study.plan.problem.quiet is not None:
        free = next((row.latency_s for row in study.compared if row.name == "unbounded"), None)
        if free is not None:
            cost = study.plan.latency_s - free
            console.print(
                f"the bound costs {cost:.4g} s an iteration: {study.plan.latency_s:.4g} s, {free:.4g} without"
            )
    console.print(f"wrote {drawn}: seconds and leakage of every cut", soft_wrap=True)


def _rows(study: Study, leakage: Leakage) -> list[dict[str, Any]]:
    """One entry for each pair of valid cuts, from fast to slow."""
    task = study.plan.problem
    seconds, (ssim, labels) = task.uniform_seconds(), leakage.tables(task.cuts)
    allowed = np.logical_and.reduce(task.allowed)
    found = [
        {
            "generator": list(task.cuts[0][g]),
            "discriminator": list(task.cuts[1][d]),
            "latency_s": float(seconds[g, d]),
            "ssim": float(ssim[g, d]),
            "label_accuracy": float(labels[g, d]),
            "allowed": bool(allowed[g, d]),
        }
        for g in range(len(task.cuts[0]))
        for d in range(len(task.cuts[1]))
    ]
    return sorted(found, key=lambda row: row["latency_s"])


def _shown(row: dict[str, Any]) -> dict[str, str]:
    return {
        "G": ", ".join(map(str, row["generator"])),
        "D": ", ".join(map(str, row["discriminator"])),
        "iteration s": f"{row['latency_s']:.4g}",
        "SSIM": f"{row['ssim']:.2f}",
        "labels": f"{row['label_accuracy']:.0%}",
        "allowed": "yes" if row["allowed"] else "no",
    }


def _chosen(study: Study, leakage: Leakage) -> list[dict[str, str]]:
    """What each profile of the plan tells."""
    rows = []
    for row in study.profile_rows():
        both = leakage.of("generator", row.generator), leakage.of("discriminator", row.discriminator)
        rows.append(
            {
                "profile": row.profile,
                "G": ", ".join(map(str, row.generator)),
                "D": ", ".join(map(str, row.discriminator)),
                "clients": str(row.num_clients),
                "SSIM": f"{max(one.ssim for one in both):.2f}",
                "labels": f"{max(one.label_accuracy for one in both):.0%}",
            }
        )
    return rows


def _picture(study: Study, rows: list[dict[str, Any]]) -> bytes:
    """Seconds against SSIM and against label accuracy, a point a pair of cuts."""
    from matplotlib.figure import Figure  # slow to import

    figure = Figure(figsize=(9, 3.6), dpi=120, layout="constrained")
    for place, (key, words) in enumerate((("ssim", "SSIM of reconstructions"), ("label_accuracy", "labels read")), 1):
        axes = figure.add_subplot(1, 2, place)
        for allowed, colour, marker in ((True, "#2f6db5", "o"), (False, "#b5483e", "x")):
            mine = [row for row in rows if row["allowed"] is allowed]
            if mine:
                label = "allowed" if allowed else "not allowed"
                axes.scatter(
                    [row["latency_s"] for row in mine], [row[key] for row in mine], c=colour, marker=marker, label=label
                )
        axes.axvline(study.plan.latency_s, color="#8a6d4d", linestyle="--", linewidth=1, label="the plan")
        axes.set_xlabel("seconds an iteration, everybody cut alike", fontsize=8)
        axes.set_ylabel(words, fontsize=8)
        axes.set_ylim(-0.03, 1.03)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.25)
        axes.legend(fontsize=8, frameon=False)
    return png_of(figure)
