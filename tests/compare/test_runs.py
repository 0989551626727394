"""What a comparison reads in its runs: bytes of all rounds, and curves of a score that every round has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from raygan.compare import pictures
from raygan.compare.document import _costs, _sit_out
from raygan.compare.words import who_sits_out
from raygan.config.loading import make_config
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


def test_who_cannot_hold_a_variant_is_told(run: Path) -> None:
    """Of six clients two have a device with 100 bytes, of which 101 are needed."""
    profile = {"flops_per_s": 1e9, "bytes_per_s": 1e8}
    profiles = {"tiny": profile | {"memory_bytes": 100}, "small": profile | {"memory_bytes": 101}, "large": profile}
    config = make_config({"devices": {"fleet": list(profiles), "profiles": profiles, "fits": "drop"}})
    ended = pd.DataFrame({"run": [str(run)]})
    assert _sit_out(config, ended) == {}, "nobody knows what it costs"
    needed = dict.fromkeys(profiles, 101.0)
    costs = {"iteration_s": 1.0, "memory_bytes": needed, "up_bytes_per_s": 1.0, "down_bytes_per_s": 1.0}
    (run / "costs.json").write_text(json.dumps(costs))
    found = _sit_out(config, ended)
    assert found == {"tiny": 2}
    assert who_sits_out({"sit_out": found}) == "; more than has tiny, whose 2 clients sit out"
    assert who_sits_out({"sit_out": {}}) == ""


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
