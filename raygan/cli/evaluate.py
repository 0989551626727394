"""`raygan evaluate`: the scores of a kept round, recomputed from its checkpoint, without Ray."""

from __future__ import annotations

import json
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from raygan.errors import InputError
from raygan.report.scores import named_scores, score_table
from raygan.run.scoring import score_round
from raygan.run.stored import Run


def show_scores(run: Run, round_number: int | None, usefulness_images: int | None) -> None:
    """Computes and prints a table.

    Raises:
        InputError: no such round, or data that is not where it was.
    """
    result = _scored(run, round_number, usefulness_images)
    console = Console()
    print_table(console, result["scores"], f"{run.path.name}: round {result['round']}")
    for fault in result["faults"]:
        console.print(f"[yellow]warning[/yellow] {escape(fault)}", highlight=False)


def print_scores(run: Run, round_number: int | None, usefulness_images: int | None) -> None:
    """`--json`: one document with the scores under names that state their protocol. Errors as above."""
    result = _scored(run, round_number, usefulness_images)
    scores = {
        name: {
            **(named_scores(entry) if entry["images"] else {}),
            "clusters": {
                number: {"clients": scores["clients"], **named_scores(scores)}
                for number, scores in entry["clusters"].items()
            },
            "real": named_scores(entry["real"]) if entry["real"] else None,
        }
        for name, entry in result["scores"].items()
    }
    print(json.dumps({**result, "scores": scores}, indent=2, allow_nan=False))


def print_table(console: Console, scores: dict[str, Any], title: str) -> None:
    """The scores, a row a domain; as wide as they are, since a narrow terminal may scroll."""
    head, rows = score_table(scores)
    widths = [max(map(len, (row[0] for row in rows)), default=6)]
    widths += [max(8, *map(len, name.split())) for name in head[1:]]
    table = Table(title=title, title_justify="left")
    for name, width in zip(head, widths, strict=True):
        table.add_column(name, justify="left" if name == "domain" else "right", width=width)
    for row in rows:
        table.add_row(*row)
    console.width = max(console.width, sum(widths) + 3 * len(widths) + 1)
    console.print(table)


def _scored(run: Run, round_number: int | None, usefulness_images: int | None) -> dict[str, Any]:
    if usefulness_images is not None and usefulness_images < 2:
        raise InputError("--usefulness-images", str(usefulness_images), "give at least 2 (the paper: 30000)")
    return score_round(run, round_number, usefulness_images)
