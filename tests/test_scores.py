"""The table of scores: whole, light, and one row is enough for a new score."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import raygan
from raygan.api import Run
from raygan.cli.evaluate import show_scores
from raygan.cli.trials import shown
from raygan.config.loading import make_config
from raygan.errors import ConfigError, RunError
from raygan.evaluation.scores.state import Batch, Reference
from raygan.report.curves import score_charts
from raygan.report.record import read_record
from raygan.run.score_table import named_scores, score_table
from raygan.scores import HEADLINE, SCORES, Score, every_round, fid_bias, names, single, with_count
from raygan.search.reported import check_metrics, known_metrics, reported


def test_every_score_has_its_file_and_its_class() -> None:
    for name, score in SCORES.items():
        module, _, kind = score.state.partition(":")
        assert (score.name, module) == (name, f"raygan.evaluation.scores.{name}")
        assert hasattr(import_module(module), kind)
    folder = Path(raygan.__file__).parent / "evaluation" / "scores"
    assert {path.stem for path in folder.glob("*.py")} == {"__init__", "state", *SCORES}


def test_names_and_directions_that_files_and_searches_have() -> None:
    always = {"label_agreement": "max", "generation_score": "max", "classifier_fid": "min"}
    shipped = {**always, "inception_fid": "min", "usefulness": "max"}
    assert {name: score.mode for name, score in SCORES.items() if name in shipped} == shipped
    assert set(names(every_round())) & shipped.keys() == always.keys()
    assert set(names(single())) & shipped.keys() == shipped.keys() - {"usefulness"}
    assert [score.reported for score in single()] == names(single())
    assert SCORES["usefulness"].reported == "usefulness_accuracy"
    assert SCORES[HEADLINE].is_share
    assert with_count("fid", 1500) == "fid_1500"


@pytest.mark.parametrize("module", ["raygan.scores", "raygan.config", "raygan.telemetry.definitions"])
def test_the_table_needs_neither_torch_nor_scikit_learn(module: str) -> None:
    code = f"import sys, {module}; print(sorted({{'torch', 'sklearn', 'raygan.evaluation'}} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_scores_are_asked_for_by_the_configuration() -> None:
    evaluation = make_config({"evaluation": {"images": 50, "inception_fid": True, "usefulness_images": 70}}).evaluation
    asked = ("label_agreement", "inception_fid", "usefulness")
    assert [SCORES[name].num_images(evaluation) for name in asked] == [50, 50, 70]
    assert [SCORES[name].num_images(make_config({}).evaluation) for name in asked] == [5000, None, None]


def test_names_of_numbers_state_how_many_images_are_behind_them() -> None:
    useful = {"images": 30_000, "accuracy": 0.9, "false_positive_rate": 0.01}
    entry = {"images": 5000, "label_agreement": 0.5, "classifier_fid": None, "usefulness": useful}
    assert named_scores(entry) == {
        "label_agreement_5k": 0.5,
        "accuracy_30k": 0.9,
        "false_positive_rate_30k": 0.01,
    }


@pytest.mark.parametrize("best", ["label_agrement", "usefulness", "inception_fid", 3])
def test_rounds_are_compared_only_by_what_every_round_has(best: object) -> None:
    with pytest.raises(ConfigError, match=r"^checkpoints.best: [^\n]*$"):
        make_config({"checkpoints": {"best": best}})


def test_a_misspelt_best_is_told_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'label_agrement' is no score of every round; did you mean 'label_a"):
        make_config({"checkpoints": {"best": "label_agrement"}})


class Brightness:
    """Mean brightness: the toy score, and all that one has to write."""

    def __init__(self, reference: Reference, seed: int) -> None:
        self._bright = self._pixels = 0

    def update(self, batch: Batch) -> None:
        assert batch.images is not None
        self._bright += int(batch.images.sum())
        self._pixels += 255 * batch.images.numel()

    def merge(self, other: Brightness) -> None:
        self._bright += other._bright
        self._pixels += other._pixels

    def compute(self) -> float:
        return self._bright / self._pixels


TOY = Score("brightness", "min", f"{__name__}:Brightness", needs="images", is_share=True, title="Bright pixels")


@pytest.fixture(scope="module")
def toy_run(two_clients: dict, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose score is in one class and one row."""
    settings = two_clients | {"checkpoints": {"keep": 1, "best": "brightness"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SCORES, TOY.name, TOY)
        return raygan.train(make_config(settings), tmp_path_factory.mktemp("toy") / "run", in_process=True)


@pytest.fixture
def toy_score(monkeypatch: pytest.MonkeyPatch) -> Score:
    monkeypatch.setitem(SCORES, TOY.name, TOY)
    return TOY


def lines(run: Run) -> list[dict]:
    return [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]


def test_a_new_score_is_in_every_line_of_clusters_domains_and_real_images(toy_run: Run) -> None:
    for line in lines(toy_run):
        for entry in line["scores"].values():
            clusters = [cluster["brightness"] for cluster in entry["clusters"].values()]
            assert entry["brightness"] == sum(clusters) / len(clusters)
            assert 0 < entry["real"]["brightness"] < 1
    assert toy_run.summary["scores"] == lines(toy_run)[-1]["scores"]


def test_a_new_score_is_in_table_chart_and_json(
    toy_run: Run, toy_score: Score, capsys: pytest.CaptureFixture[str]
) -> None:
    record = read_record(toy_run.path)
    head, rows = score_table(record.scores, "cluster")
    value = record.scores["domain0"]["brightness"]
    assert head[-1] == "brightness 8"
    assert rows[0][-1] == f"{100 * value:.1f}%"
    assert any("Bright pixels (lower is better)" in str(chart) for chart in score_charts(record))
    assert "Bright pixels (lower is better)" in (toy_run.path / "report.html").read_text()
    show_scores(toy_run, None, None, as_json=True)
    again = json.loads(capsys.readouterr().out)["scores"]["domain0"]
    assert again["brightness_8"] == value


def test_a_number_that_rounds_to_nothing_has_no_sign() -> None:
    """KID's estimate has no bias, so that of real images is as often below 0 as above."""
    entry = {"images": 8, "classifier_kid": -0.004, "density": -0.006}
    _, ((_, *numbers),) = score_table({"domain0": entry}, "cluster")
    assert numbers == ["0.00", "-0.01"]


def test_a_new_score_can_be_searched_for(toy_run: Run, toy_score: Score) -> None:
    assert {"brightness", "brightness/domain1"} <= set(known_metrics(toy_run.config))
    check_metrics(("brightness",), toy_run.config)
    report = reported(lines(toy_run)[-1], {}, 0)
    scores = lines(toy_run)[-1]["scores"]
    assert report["brightness"] == (scores["domain0"]["brightness"] + scores["domain1"]["brightness"]) / 2
    assert shown("brightness", 0.25) == "25.0%"


def test_the_best_round_by_a_new_score_stays_whole(toy_run: Run, toy_score: Score) -> None:
    means = [
        sum(entry["brightness"] for entry in line["scores"].values()) / len(line["scores"]) for line in lines(toy_run)
    ]
    best = 1 + means.index(min(means))
    manifests = toy_run.path.glob("checkpoints/*/manifest.json")
    whole = {m["round"] for m in map(json.loads, (path.read_text() for path in manifests)) if m["whole"]}
    assert whole == {best, len(means)}
    assert len(set(means)) == len(means)


def test_a_damaged_score_is_found_when_it_is_read(toy_run: Run, toy_score: Score, tmp_path: Path) -> None:
    from raygan.run.forms import RoundForm, in_form

    line = lines(toy_run)[-1]
    in_form(RoundForm, line, "metrics.jsonl")
    line["scores"]["domain0"]["clusters"]["0"]["brightness"] = 1.5
    with pytest.raises(RunError, match=r"scores\.domain0\.clusters\.0\.brightness: .*less than or equal to 1"):
        in_form(RoundForm, line, "metrics.jsonl")


def test_without_its_row_there_is_no_such_score() -> None:
    with pytest.raises(ConfigError, match=r"checkpoints\.best: 'brightness' is no score"):
        make_config({"checkpoints": {"best": "brightness"}})
    with pytest.raises(ConfigError, match="'brightness' is not reported"):
        check_metrics(("brightness",), make_config({}))


def test_few_real_images_bias_the_fid() -> None:
    assert fid_bias(5000) is None
    assert str(fid_bias(4999)).startswith("4,999 test images, so its FID is biased upwards")


def test_shares_are_shown_in_percent_and_others_as_they_are() -> None:
    entry = {"label_agreement": 0.5, "classifier_fid": 2.5}
    shares, distances = SCORES["label_agreement"], SCORES["classifier_fid"]
    assert (shares.shown(entry), shares.unit) == (50, "%")
    assert (distances.shown(entry), distances.unit) == (2.5, "no unit")
    assert shares.shown({}) is None
