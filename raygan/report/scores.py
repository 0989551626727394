"""Scores as rows that people read: one for each domain, with the protocol in the column's name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raygan.evaluation.protocol import with_count

SHARES = ("label_agreement", "accuracy", "precision", "recall", "f1", "false_positive_rate")
NAMES = ("label_agreement", "generation_score", "classifier_fid", "inception_fid")
Row = tuple[str, ...]


def score_table(scores: Mapping[str, Any]) -> tuple[Row, list[Row]]:
    """Head and rows: the mean over a domain's clients, each cluster where they lie in several, real images.

    Args:
        scores: by domain, as in `metrics.jsonl`.
    """
    entries = [entry for entry in scores.values() if entry.get("images")]
    names = [name for name in NAMES if any(entry.get(name) is not None for entry in entries)]
    useful: Mapping[str, float] = next(
        (entry["usefulness"] for entry in entries if entry.get("usefulness")), {}
    )
    more = [name for name in useful if name != "images"]
    head = [_headed(name, entries[0]["images"]) for name in names]
    head += [_headed(name, int(useful["images"])) for name in more]
    rows = [
        (label, *(_shown(name, entry.get(name)) for name in names), *_useful(entry, more))
        for domain, values in scores.items()
        for label, entry in _entries(domain, values)
    ]
    return ("domain", *head), rows


def named_scores(entry: Mapping[str, Any]) -> dict[str, float]:
    """An entry's scores under names that state their protocol (`classifier_fid_5k`), without those it lacks."""
    found = {name: entry.get(name) for name in NAMES}
    named = {with_count(name, entry["images"]): value for name, value in found.items() if value is not None}
    useful = entry.get("usefulness") or {}
    return named | {
        with_count(name, int(useful["images"])): value for name, value in useful.items() if name != "images"
    }


def _entries(domain: str, values: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    clusters = values.get("clusters", {})
    rows = [(domain, values)]
    if len(clusters) > 1:
        rows += [(f"{domain}: cluster {number}", entry) for number, entry in clusters.items()]
    if values.get("real"):
        rows.append((f"{domain}: {values['real']['images']:,} real", values["real"]))
    return rows


def _useful(entry: Mapping[str, Any], names: Sequence[str]) -> Row:
    useful = entry.get("usefulness") or {}
    return tuple(_shown(name, useful.get(name)) for name in names)


def _headed(name: str, count: int) -> str:
    return with_count(name, count).replace("_", " ")


def _shown(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    return f"{100 * value:.1f}%" if name in SHARES else f"{value:.2f}"
