"""Scores as rows that people read: one for each domain, with the protocol in the column's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raygan.scores import SCORES, Score, with_count

Row = tuple[str, ...]
Column = tuple[Score, str]
"""A score and its name, or that of one of its parts."""


def score_table(scores: Mapping[str, Any]) -> tuple[Row, list[Row]]:
    """Head and rows: the mean over a domain's clients, each cluster where they lie in several, real images.

    Args:
        scores: by domain, as in `metrics.jsonl`.
    """
    held = [_numbers(entry) for entry in scores.values() if entry.get("images")]
    columns = {
        column: count
        for score in SCORES.values()
        for numbers in held
        for column, (_, count) in numbers.items()
        if column[0] == score
    }
    head = [with_count(name, count).replace("_", " ") for (_, name), count in columns.items()]
    rows = []
    for domain, values in scores.items():
        for label, entry in _entries(domain, values):
            numbers = _numbers(entry)
            rows.append((label, *(_shown(column, numbers) for column in columns)))
    return ("domain", *head), rows


def named_scores(entry: Mapping[str, Any]) -> dict[str, float]:
    """An entry's scores under names that state their protocol (`classifier_fid_5k`), without those it lacks."""
    return {with_count(name, count): value for (_, name), (value, count) in _numbers(entry).items()}


def _numbers(entry: Mapping[str, Any]) -> dict[Column, tuple[float, int]]:
    """The numbers that an entry has, each with the images behind it."""
    found: dict[Column, tuple[float, int]] = {}
    for score in SCORES.values():
        value = entry.get(score.name)
        if value is not None and score.parts:
            parts = ((name, part) for name, part in value.items() if name != "images")
            found |= {(score, name): (part, int(value["images"])) for name, part in parts}
        elif value is not None:
            found[score, score.name] = value, entry["images"]
    return found


def _entries(domain: str, values: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    clusters = values.get("clusters", {})
    rows = [(domain, values)]
    if len(clusters) > 1:
        rows += [(f"{domain}: cluster {number}", entry) for number, entry in clusters.items()]
    if values.get("real"):
        rows.append((f"{domain}: {values['real']['images']:,} real", values["real"]))
    return rows


def _shown(column: Column, numbers: Mapping[Column, tuple[float, int]]) -> str:
    if column not in numbers:
        return "-"
    value, _ = numbers[column]
    return f"{100 * value:.1f}%" if column[0].is_share else f"{value:.2f}"
