"""A run in a line, as HTML, and its numbers as a table."""

from __future__ import annotations

import shutil
from pathlib import Path

from raygan.run.metrics import flat
from raygan.run.stored import Run
from raygan.storage import read_json_lines


def test_no_levels_are_left() -> None:
    line = {
        "round": 2,
        "links": {"client -> body": {"Gradients": {"bytes": 5}}},
        "evaluation_seconds": None,
        "faults": ["one"],
        "scores": {"d": {"label_agreement": 0.5, "usefulness": {"f1": 0.25}, "real": None}},
    }
    assert flat(line) == {
        "round": 2,
        "links/client -> body/Gradients/bytes": 5,
        "evaluation_seconds": None,
        "d/label_agreement": 0.5,
        "d/usefulness/f1": 0.25,
        "d/real": None,
    }
    assert flat({"round": 1}) == {"round": 1}


def test_metrics_are_flat_and_records_are_as_written(kept: Path) -> None:
    run, lines = Run.load(kept), read_json_lines(kept / "metrics.jsonl")
    assert run.metrics["domain0/label_agreement"].tolist() == [x["scores"]["domain0"]["label_agreement"] for x in lines]
    assert run.metrics["round"].tolist() == [1, 2]
    assert not [
        name for name in run.metrics if run.metrics[name].map(lambda cell: isinstance(cell, (dict, list))).any()
    ]
    assert run.records["scores"].tolist() == [line["scores"] for line in lines]


def test_a_run_in_a_line(kept: Path) -> None:
    scores = read_json_lines(kept / "metrics.jsonl")[-1]["scores"]
    told = ", ".join(f"{name} {100 * entry['label_agreement']:.1f}%" for name, entry in scores.items())
    assert repr(Run.load(kept)) == f"<raygan.Run {str(kept)!r}: huscf, 2 of 2 rounds, label agreement: {told}>"


def test_a_notebook_shows_scores_and_the_last_pictures(kept: Path, tmp_path: Path) -> None:
    path = tmp_path / "<b>run"
    shutil.copytree(kept, path)
    page = Run.load(path)._repr_html_()
    assert page.count("<img ") == 2
    assert "samples: round-0002-cluster-1" in page
    assert "round-0001" not in page
    assert "<b>run" not in page
    assert "&lt;b&gt;run" in page
    assert "<td>domain0</td>" in page


def test_a_damaged_run_still_has_a_repr(kept: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    shutil.copytree(kept, path)
    run = Run.load(path)
    (path / "metrics.jsonl").write_text("{\n{}\n")
    assert repr(run) == f"<raygan.Run {str(path)!r}>"
    assert run._repr_html_() is None


def test_a_run_without_a_round(kept: Path, tmp_path: Path) -> None:
    path = tmp_path / "run"
    shutil.copytree(kept, path)
    (path / "metrics.jsonl").unlink()
    shutil.rmtree(path / "samples")
    run = Run.load(path)
    assert repr(run) == f"<raygan.Run {str(path)!r}: huscf, 0 of 2 rounds>"
    assert "<img" not in run._repr_html_()
