"""Two runs' rounds, compared by their `metrics.jsonl`, and checkpoints as they were before."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
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
        assert mine == pytest.approx(theirs, rel=1e-3, abs=1e-5)


def _flat(node: Any, name: str = "") -> dict[str, float]:
    if isinstance(node, dict):
        return {key: value for part in node for key, value in _flat(node[part], f"{name}/{part}").items()}
    return {} if node is None else {name: node}


def rewrite_manifests(path: Path, change: Callable[[dict[str, Any]], object], name: str = "*") -> None:
    """Changes the manifests of a run's checkpoints, of all or of one; their own checksums are right."""
    for file in path.glob(f"checkpoints/{name}/manifest.json"):
        manifest = json.loads(file.read_text())
        del manifest["digest"]
        change(manifest)
        digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
        file.write_text(json.dumps(manifest | {"digest": digest}))


def forget_configuration(path: Path) -> None:
    """As checkpoints were before they knew the configuration that they were trained with."""
    rewrite_manifests(path, lambda manifest: manifest.pop("config"))
