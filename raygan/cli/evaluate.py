"""`raygan evaluate`: the scores of a kept round, recomputed from its checkpoint, without Ray."""

from __future__ import annotations

import json
from typing import Any

from raygan.cli.screen import Screen
from raygan.cli.tables import FittingTable, rows_table
from raygan.errors import InputError
from raygan.names import Weights
from raygan.run.score_table import class_scores, named_scores, score_table
from raygan.run.scoring import score_round
from raygan.run.stored import Run


def show_scores(
    run: Run, round_number: int | None, usefulness_images: int | None, as_json: bool, weights: Weights | None = None
) -> None:
    """Computes and prints a table, or one JSON document with the scores under names that state their protocol.

    Args:
        weights: as for `Run.generator_states`.

    Raises:
        InputError: no such round, or data that is not where it was.
    """
    if usefulness_images is not None and usefulness_images < 2:
        raise InputError("--usefulness-images", str(usefulness_images), "give at least 2 (the paper: 30000)")
    result = score_round(run, round_number, usefulness_images, weights)
    if as_json:
        scores = {name: _named(entry) for name, entry in result["scores"].items()}
        print(json.dumps({**result, "scores": scores}, indent=2, allow_nan=False))
        return
    screen = Screen()
    screen.show(scores_table(run, result["scores"], f"{run.path.name}: round {result['round']}"))
    for fault in result["faults"]:
        screen.warn(fault)


def _named(entry: dict[str, Any]) -> dict[str, Any]:
    models = entry["clusters"].items()
    return {
        **(named_scores(entry) | class_scores(entry) if entry["images"] else {}),
        "clusters": {number: {"clients": one["clients"], **named_scores(one)} for number, one in models},
        "real": named_scores(entry["real"]) if entry["real"] else None,
    }


def scores_table(run: Run, scores: dict[str, Any], title: str) -> FittingTable:
    """The scores, a row a domain."""
    head, rows = score_table(scores, run.model_kind)
    return rows_table(title, [dict(zip(head, row, strict=True)) for row in rows] or [dict.fromkeys(head, "-")])
