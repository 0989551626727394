"""Scores as rows that people read: one for each domain, with the protocol in the column's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raygan.scores import SCORES, Score, with_count

Row = tuple[str, ...]
Column = tuple[Score, str]
"""A score and its name, or that of one of its parts."""


def score_table(scores: Mapping[str, Any], kind: str) -> tuple[Row, list[Row]]:
    """Head and rows: the mean over a domain's clients, each model where they have several, real images.

    Args:
        scores: by domain, as in `metrics.jsonl`.
        kind: what models are called: `cluster`.
    """
    held = [_numbers(entry) for entry in scores.values() if entry.get("images")]
    counts = {column: count for numbers in held for column, (_, count) in numbers.items()}
    columns = sorted(counts, key=lambda column: list(SCORES).index(column[0].name))
    head = [with_count(column[1], counts[column]).replace("_", " ") for column in columns]
    rows = [
        (label, *(_shown(column, _numbers(entry)) for column in columns))
        for domain, values in scores.items()
        for label, entry in _entries(domain, values, kind)
    ]
    return ("domain", *head), rows


def named_scores(entry: Mapping[str, Any]) -> dict[str, float]:
    """An entry's scores under names that state their protocol (`classifier_fid_5k`), without those it lacks."""
    return {with_count(name, count): value for (_, name), (value, count) in _numbers(entry).items()}


def class_scores(entry: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """An entry's scores class by class, under such names; a class by its number."""
    tables = {score.name: dict(entry.get(score.name) or {}) for score in SCORES.values() if score.by_class}
    return {with_count(name, table.pop("images")): table for name, table in tables.items() if table}


def mixed_domains(classes: Mapping[str, Sequence[str]], scores: Mapping[str, Any]) -> dict[str, list[str]]:
    """Model -> the domains that it serves, where these give the same label numbers to different classes.

    Args:
        classes: domain -> a name for each label.
        scores: as `score_table`.
    """
    serves: dict[str, list[str]] = {}
    for domain, entry in scores.items():
        for model in entry.get("clusters", {}):
            serves.setdefault(model, []).append(domain)
    return {
        model: mine
        for model, mine in serves.items()
        if len({tuple(classes[domain]) for domain in mine if domain in classes}) > 1
    }


def capped(domains: Sequence[str]) -> str:
    """What it means for scores that one model serves these domains."""
    names = f"{', '.join(domains[:-1])} and {domains[-1]}"
    share = f"one in {len(domains)}" if len(domains) > 2 else "half"
    return f"{names}, whose classes share label numbers: about {share} of its samples can show the class asked for"


def _numbers(entry: Mapping[str, Any]) -> dict[Column, tuple[float, int]]:
    """The numbers that an entry has, each with the images behind it."""
    found: dict[Column, tuple[float, int]] = {}
    for score in SCORES.values():
        value = entry.get(score.name)
        if score.by_class:
            continue
        if value is not None and score.parts:
            parts = ((name, part) for name, part in value.items() if name != "images")
            found |= {(score, name): (part, int(value["images"])) for name, part in parts}
        elif value is not None:
            found[score, score.name] = value, entry["images"]
    return found


def _entries(domain: str, values: Mapping[str, Any], kind: str) -> list[tuple[str, Mapping[str, Any]]]:
    models = values.get("clusters", {})
    rows = [(domain, values)]
    if len(models) > 1:
        rows += [(f"{domain}: {kind} {number}", entry) for number, entry in models.items()]
    if values.get("real"):
        rows.append((f"{domain}: {values['real']['images']:,} real", values["real"]))
    return rows


def _shown(column: Column, numbers: Mapping[Column, tuple[float, int]]) -> str:
    if column not in numbers:
        return "-"
    value, _ = numbers[column]
    return f"{100 * value:.1f}%" if column[0].is_share else f"{round(value, 2) + 0.0:.2f}"  # -0.0 + 0.0 is 0.0
