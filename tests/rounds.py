"""Two runs' rounds, compared by their `metrics.jsonl`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

TIMED = ("seconds", "train_seconds", "end_seconds", "phase_seconds", "body_seconds", "evaluation_seconds")


def rounds_of(path: Path) -> list[dict[str, Any]]:
    """Every round without what time decides."""
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in TIMED} for row in rows]


def assert_same_training(one: Path, other: Path) -> None:
    """Equal to the last bit in everything but scores, whose sums depend on a process's threads: those in float32."""
    first, second = rounds_of(one), rounds_of(other)
    scores = [[_flat(row.pop("scores")) for row in rows] for rows in (first, second)]
    assert first == second
    for mine, theirs in zip(*scores, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-3)


def _flat(node: Any, name: str = "") -> dict[str, float]:
    if isinstance(node, dict):
        return {key: value for part in node for key, value in _flat(node[part], f"{name}/{part}").items()}
    return {} if node is None else {name: node}
