"""What a comparison reads in its runs: bytes of all rounds, and curves of a score that every round has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from raygan.compare import pictures
from raygan.compare.document import _costs
from tests.compare.test_document import VARIANTS


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Two rounds of two clients, of which only the first moved models: 600 bytes."""
    folder = tmp_path / "run"
    folder.mkdir()
    lines = [metrics(number, moved, score) for number, moved, score in ((1, 600, 0.25), (2, 0, 0.5))]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder


def metrics(number: int, moved: int, score: float) -> dict[str, Any]:
    links = {"client -> aggregator": {"State": {"records": 2, "bytes": moved}}}
    scores = {"a": {"images": 10, "label_agreement": score}}
    return {
        "round": number, "clients": 2, "steps": 5, "links": links, "scores": scores, "seconds": 1.0, "train_seconds": 1.0,
        "end_seconds": 0.0, "images": 10, "discriminator_loss": 1.0, "generator_loss": 1.0, "bytes_up": 0,
        "bytes_down": 0, "phase_seconds": {}, "body_seconds": {}, "evaluation_seconds": None, "samples": [], "faults": [],
    }  # fmt: skip


def test_bytes_are_of_all_rounds_whenever_they_moved(run: Path) -> None:
    trials = pd.DataFrame({"run": [str(run)], "bytes_per_client": [0.0], "seconds": [2.0]})
    assert _costs(trials) == {"bytes_per_client": (300 + 0) / 2, "seconds": 2.0}


@pytest.mark.parametrize("metric", ["usefulness_accuracy", "label_agreement"])
def test_curves_are_of_a_score_that_every_round_has(run: Path, monkeypatch: pytest.MonkeyPatch, metric: str) -> None:
    drawn = []
    monkeypatch.setattr(pictures, "png_of", drawn.append)
    variants = [{"name": name, "runs": [str(run)]} for name in VARIANTS]
    pictures.draw_curves({"metric": metric, "variants": variants})
    (axes,) = drawn[0].axes
    assert axes.get_ylabel() == "label agreement, %"
    assert [tuple(map(float, point)) for point in axes.lines[0].get_xydata()] == [(5, 25), (10, 50)]


def test_no_two_of_fifteen_lines_look_alike() -> None:
    styles = [pictures._style(number) for number in range(15)]
    assert len({(style["color"], style["linestyle"]) for style in styles}) == 15
