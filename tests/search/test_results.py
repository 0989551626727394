"""A search's results, from trials with numbers by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from raygan.cli.screen import make_screen
from raygan.cli.tune import Progress, answer, answer_table
from raygan.config.loading import make_config, read_config
from raygan.search.plots import draw_curves, draw_pareto
from raygan.search.results import Results, Trial, write_results
from raygan.search.schema import SearchConfig
from raygan.search.search import Search


def made(*rows: tuple, folder: Path | None = None, **settings) -> Results:
    """Trials (count, seed, score, latency, rounds) of a search for the number of clusters."""
    given = {"base": {}, "space": {"clusters.count": {"grid": [1, 2, "auto"]}}, "seeds": [0, 1], **settings}
    trials = []
    for number, (count, seed, score, latency, rounds) in enumerate(rows):
        metrics = {"round": rounds, "label_agreement": score, "latency_s": latency, "bytes_per_round": 1000,
                   "clusters": 2 if count == "auto" else count}  # fmt: skip
        if folder is not None:
            metrics["run"] = str(folder / f"run-{number}")
        point = {"clusters.count": count, "seed": seed}
        trials.append(Trial(f"trial-{number}", point, {} if score is None else metrics, None, True))
    return Results(Search("made", given, SearchConfig.model_validate(given)), trials)


FOUR = [(1, 0, 0.4, 1.0, 3), (1, 1, 0.6, 1.0, 3), ("auto", 0, 0.7, 1.0, 3), ("auto", 1, 0.5, 1.0, 3)]


def test_points_are_compared_by_their_means_over_seeds() -> None:
    groups = made(*FOUR).groups()
    assert groups["clusters.count"].tolist() == ["auto", 1]
    assert groups["label_agreement"].tolist() == pytest.approx([0.6, 0.5])
    assert groups["label_agreement_std"].tolist() == pytest.approx([0.02**0.5, 0.02**0.5])
    assert groups["trials"].tolist() == [2, 2]


def test_the_best_is_the_best_trial_of_the_best_point() -> None:
    results = made((1, 0, 0.9, 1.0, 3), (1, 1, 0.1, 1.0, 3), (2, 0, 0.6, 1.0, 3), (2, 1, 0.7, 1.0, 3))
    assert results.best().name == "trial-3", "0.65 on average, although one trial of the other has 0.9"


def test_a_trial_that_was_stopped_is_told_from_one_that_ended() -> None:
    results = made((1, 0, 0.5, 1.0, 3), (2, 0, 0.4, 1.0, 1), base={"training": {"rounds": 3}})
    assert results.table()["status"].tolist() == ["ended", "stopped"]


def test_less_may_be_better() -> None:
    assert made(*FOUR, mode="min").best().name == "trial-0"


def test_a_trial_that_the_scheduler_stopped_is_not_the_best() -> None:
    rows = [(1, 0, 0.9, 1.0, 1), (2, 0, 0.6, 1.0, 3)]
    assert made(*rows, scheduler="asha").best().name == "trial-1"
    assert made(*rows, scheduler="asha", stop={"score": 0.8}).best().name == "trial-0", "it came as far as wanted"


def test_the_front_has_who_is_beaten_by_nobody() -> None:
    results = made((1, 0, 0.5, 1.0, 3), (2, 0, 0.7, 2.0, 3), ("auto", 0, 0.6, 3.0, 3), (1, 1, 0.7, 2.0, 3))
    assert [trial.name for trial in results.front()] == ["trial-0", "trial-1", "trial-3"]
    assert results.table()["pareto"].tolist() == [True, True, False, True]


def test_the_answer_names_the_point_and_who_is_as_good() -> None:
    results = made(*FOUR)
    text = answer(results, results.groups(), results.best())
    assert text.startswith("best: clusters.count=auto (label agreement 60.0% ± 14.1% over 2 seeds; trial-2)")
    assert text.endswith("clusters.count=1 is within the spread over seeds")
    apart = made((1, 0, 0.4, 1.0, 3), (1, 1, 0.41, 1.0, 3), (2, 0, 0.7, 1.0, 3), (2, 1, 0.71, 1.0, 3))
    assert "within" not in answer(apart, apart.groups(), apart.best())
    same = made((1, 0, 0.5, 1.0, 3), (2, 0, 0.5, 1.0, 3))
    assert answer(same, same.groups(), same.best()).endswith("clusters.count=2 scores the same")


def test_the_table_shows_what_auto_chose() -> None:
    results = made(*FOUR, question="How many?")
    table = answer_table(results, results.groups())
    columns = {name: [row[name] for row in table.rows] for name in table.rows[0]}
    assert table.title == "How many?"
    assert columns["clusters.count"] == ["auto", "1"]
    assert columns["clusters"] == ["2", "1"]
    assert columns["label agreement"] == ["60.0% ± 14.1%", "50.0% ± 14.1%"]


def test_trials_without_scores_are_listed_and_not_compared(tmp_path: Path) -> None:
    results = made((1, 0, None, None, 0), (2, 0, 0.5, 1.0, 3))
    assert results.groups()["clusters.count"].tolist() == [2]
    assert len(results.table()) == 2
    nothing = made((1, 0, None, None, 0))
    assert nothing.best() is None
    assert nothing.groups().empty
    assert write_results(nothing, tmp_path) == [tmp_path / "results.csv"]


def test_the_best_configuration_trains_as_many_rounds_as_its_trial(tmp_path: Path) -> None:
    results = made((2, 0, 0.5, 1.0, 3), folder=tmp_path)
    config = make_config({"training": {"rounds": 9}, "clusters": {"count": 2}})
    (tmp_path / "run-0").mkdir()
    (tmp_path / "run-0" / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    assert write_results(results, tmp_path)[-1] == tmp_path / "best.yaml"
    best = read_config(tmp_path / "best.yaml")
    assert best.training.rounds == 3
    assert best.model_copy(update={"training": config.training}) == config
    assert "label_agreement 0.5" in (tmp_path / "best.yaml").read_text().splitlines()[0]


def test_trials_without_cuts_and_clusters_are_compared(tmp_path: Path) -> None:
    """As those of `algorithm: local`: no predicted latency, no clusters."""
    some = made((1, 0, 0.4, 1.0, 3), (2, 0, 0.6, 1.0, 3))
    absent = {"latency_s", "clusters"}
    trials = [
        replace(trial, metrics={k: v for k, v in trial.metrics.items() if k not in absent}) for trial in some.trials
    ]
    results = Results(some.search, trials)
    assert results.objectives == {"bytes_per_round": "min", "label_agreement": "max"}
    assert [trial.name for trial in results.front()] == ["trial-1"]
    headers = list(answer_table(results, results.groups()).rows[0])
    assert headers == ["clusters.count", "label agreement", "bytes a round", "trials", "rounds"]
    assert draw_pareto(results, tmp_path / "pareto.png").stat().st_size > 0


def test_a_round_without_clusters_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    make_screen(quiet=False, verbose=False, log_file=None)
    progress, trial = Progress("label_agreement", 2), SimpleNamespace(trial_id="a")
    for clusters in ({}, {"clusters": 1}):
        progress.on_trial_result(1, [], trial, {"round": 3, "seconds": 1.0, "label_agreement": 0.5, **clusters})
    without, one = capsys.readouterr().out.splitlines()
    assert without.endswith("round   3     1.0 s  label agreement 50.0%")
    assert one.endswith("1.0 s  1 cluster  label agreement 50.0%")


def test_the_pictures(tmp_path: Path) -> None:
    results = made(*FOUR)
    for path in (
        draw_curves(results, tmp_path / "curves.png"),
        draw_pareto(results, tmp_path / "pareto.png"),
    ):
        assert path.read_bytes().startswith(b"\x89PNG")
