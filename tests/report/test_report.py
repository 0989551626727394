"""The report of a tiny run: whole, self-contained, escaped, and the same in a browser."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from matplotlib.axes import Axes

import raygan
from raygan.config.loading import make_config
from raygan.errors import RunError
from raygan.report import cuts as report_cuts
from raygan.report import write_report
from raygan.report.curves import PALETTE
from raygan.report.timing import phase_name, phase_totals
from raygan.report.words import durations, shares
from tests.browser import CHROMIUM
from tests.seen_pages import contrast, flaws

HOSTILE = "<script>alert(1)</script>"
VOID = {"img", "meta", "br"}


class Checker(HTMLParser):
    """Collects elements, and fails on tags that do not match."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict]] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data + " "


@pytest.fixture(scope="module")
def run_path(tiny_settings: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "run"
    return raygan.train(make_config(tiny_settings), path, in_process=True).path


@pytest.fixture
def copy(run_path: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(run_path, tmp_path / "run"))


def checked(path: Path) -> Checker:
    checker = Checker()
    checker.feed(path.read_text(encoding="utf-8"))
    assert not checker.open, "every element is closed"
    return checker


def test_a_finished_run_has_its_report(run_path: Path) -> None:
    page = checked(run_path / "report.html")
    sections = {attributes["id"] for tag, attributes in page.found if tag == "section" and "id" in attributes}
    assert sections == {"scores", "samples", "clusters", "time", "cuts", "faults", "run", "configuration", "terms"}
    links = {attributes["href"] for tag, attributes in page.found if tag == "a"}
    assert {link for link in links if link.startswith("#")} == {f"#{name}" for name in sections}
    for text in (
        "label agreement 40", "classifier fid 40", "domain0: 24 real",
        "adjusted Rand index", "KLD runs from", "batch_size: 8", "clients: generate fakes", "nobody was lost",
        "Predicted:",
    ):  # fmt: skip
        assert text in page.text, text


def test_it_asks_for_nothing_and_runs_nothing(run_path: Path) -> None:
    page = checked(run_path / "report.html")
    assert not [tag for tag, _ in page.found if tag in ("script", "link", "iframe", "object", "video")]
    for tag, attributes in page.found:
        for name, value in attributes.items():
            assert not name.startswith("on"), f"{tag} {name}"
            if name in ("src", "href", "srcset", "data"):
                assert value.startswith(("data:image/png;base64,", "#")), f"{tag} {name}"
    style = re.findall(r"<style>(.*?)</style>", (run_path / "report.html").read_text(), re.DOTALL)
    assert len(style) == 1
    assert "url(" not in style[0]
    assert "@import" not in style[0]


def test_pictures_show_first_and_last_round_curves_and_timeline(run_path: Path) -> None:
    texts = [attributes["alt"] for tag, attributes in checked(run_path / "report.html").found if tag == "img"]
    for text in ("after round 1", "after round 2", "Losses"):
        assert [alt for alt in texts if text in alt], text
    assert 'aria-label="one iteration, device by device"' in (run_path / "report.html").read_text()


def test_curves_have_units_and_losses_stand_beside_scores(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels, set_label = [], Axes.set_ylabel
    monkeypatch.setattr(Axes, "set_ylabel", lambda axes, text, **x: labels.append(text) or set_label(axes, text, **x))
    text = write_report(copy).read_text()
    assert labels[:2] == ["label agreement 40, %", "generation score 40, no unit"]
    assert "loss, nats" in labels
    assert [label for label in labels if not label.endswith((", %", ", nats", ", no unit"))] == []
    assert "Losses" in text.partition('id="scores"')[2].partition('id="samples"')[0]
    assert "2 rounds, the last one last" in text
    assert text.count("round 1, cluster 0 \u2192 goes on") == 1, "of two rounds, the first"
    assert "round 2, cluster 0 \u2192" not in text


def test_whatever_a_run_holds_is_text(copy: Path) -> None:
    config = yaml.safe_load((copy / "config.yaml").read_text())
    config["devices"]["profiles"][HOSTILE] = config["devices"]["profiles"]["small"]
    config["devices"]["fleet"][0] = HOSTILE
    (copy / "config.yaml").write_text(yaml.safe_dump(config))
    lines = [json.loads(line) for line in (copy / "metrics.jsonl").read_text().splitlines()]
    lines[-1]["faults"] = [f"client 3 was lost: {HOSTILE}"]
    lines[-1]["phase_seconds"] = {HOSTILE: 1.0}
    (copy / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    cuts = json.loads((copy / "cuts.json").read_text())
    cuts["clients"][0]["device"] = HOSTILE
    (copy / "cuts.json").write_text(json.dumps(cuts))
    page = checked(write_report(copy))
    assert "script" not in {tag for tag, _ in page.found}
    assert page.text.count(HOSTILE) >= 4, "shown as text where it belongs"


def test_a_run_that_was_interrupted_is_reported_as_far_as_it_is(copy: Path) -> None:
    (copy / "summary.json").unlink()
    first, second = (copy / "metrics.jsonl").read_text().splitlines()
    (copy / "metrics.jsonl").write_text(first + "\n" + second[:100])
    assert "1 of 2 rounds: this run has not ended" in checked(write_report(copy)).text
    for name in ("metrics.jsonl", "clusters.jsonl", "cuts.json"):
        (copy / name).unlink()
    shutil.rmtree(copy / "samples")
    text = checked(write_report(copy)).text
    assert "No round has been scored." in text
    assert "cuts.json is missing." in text
    assert text.count("No round has ended.") == 3, "two cards and the clusters"


def test_an_algorithm_without_clusters_and_cuts(tiny_settings: dict, tmp_path: Path) -> None:
    config = make_config(tiny_settings | {"algorithm": "local", "training": {"rounds": 1, "batch_size": 8}})
    page = checked(raygan.train(config, tmp_path / "run", in_process=True).path / "report.html")
    for text in (
        "'local' makes no clusters.", "The networks are whole, or cuts.json is missing.", "domain1: model 5",
        "Model 0 through the rounds", "local, 6 clients",
    ):  # fmt: skip
        assert text in page.text, text
    assert not re.search(r"cluster \d", page.text)
    pictures = [attributes["alt"] for tag, attributes in page.found if tag == "img"]
    assert len([text for text in pictures if text.startswith("samples of model")]) == 2 * 6


def test_the_timeline_is_that_of_the_runs_own_cuts(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the run wrote them, not as the configuration would have them now."""
    drawn, timeline = [], report_cuts.timeline
    monkeypatch.setattr(report_cuts, "timeline", lambda plan: drawn.append(plan) or timeline(plan))
    cuts = json.loads((copy / "cuts.json").read_text())
    cuts |= {"solver": "exact", "lower_bound_s": 0.0, "optimal": False}
    cuts["clients"][0]["generator"] = [1, 1]
    (copy / "cuts.json").write_text(json.dumps(cuts))
    text = checked(write_report(copy)).text
    (plan,) = drawn
    assert plan.cuts[0] == ((1, 1), (0, 0))
    assert plan.cuts[1] == ((0, 1), (1, 0))
    assert (plan.solver, plan.lower_bound_s, plan.optimal) == ("exact", 0.0, False)
    assert "small (2), G cut (1, 1), D cut (0, 0)" in text


def test_the_timeline_ends_with_the_iteration(copy: Path) -> None:
    """Passes one after the other, from 0% to 100% of it; nothing is done outside of it."""
    page = checked(copy / "report.html")
    places = [
        tuple(map(float, re.findall(r"[\d.]+", attributes["style"])))
        for tag, attributes in page.found
        if attributes.get("style", "").startswith("left:")
    ]
    passes = places[:8]
    for (start, width), (after, _) in itertools.pairwise(passes):
        assert start + width == pytest.approx(after, abs=0.011)
    assert passes[0][0] == 0
    assert sum(passes[-1]) == pytest.approx(100, abs=0.011)
    assert len(places) > 8 + 3 * 6
    assert max(start + width for start, width in places) <= 100.02


def test_a_scenario_is_held_against_the_paper(copy: Path) -> None:
    config = yaml.safe_load((copy / "config.yaml").read_text()) | {"scenario": 4}
    config["training"]["augment"] = ["cutout"]
    (copy / "config.yaml").write_text(yaml.safe_dump(config))
    lines = [json.loads(line) for line in (copy / "metrics.jsonl").read_text().splitlines()]
    lines[-1]["scores"]["domain0"]["usefulness"] = {"images": 40.0, "accuracy": 0.87654}
    (copy / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    text = checked(write_report(copy)).text
    for expected in (
        "96.21%", "81.90%", "data.domains.0.clients: 3 here, 20 published",
        "accuracy 40", "data.partition: iid here, non_iid published", "training.rounds: 2 here, 50 published",
        "training.augment: ['cutout'] here, [] published",
        "87.65% (40 images)", "training.lr: 0.0005 here, 0.0002 published",
        "data.images_per_client: None here, 1500 published",
        "which classes and images a client has is drawn from seed 0 here",
        "clusters.feature_batches: 2 here, 1 published", "cuts.solver: fixed here, ga published",
        "minibatches: passes over",
    ):  # fmt: skip
        assert expected in text, expected
    assert "training.steps:" not in text
    assert "clusters.beta" not in text
    assert "clusters.count" not in text.partition("What differs")[2].partition("</ul>")[0], "it is told the two domains"


def test_what_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"no config\.yaml, so this is not a run's folder"):
        write_report(tmp_path)


def told_times(copy: Path, **more: float) -> str:
    """The page's text where two rounds took 60 and 40 s, two client actors worked 40 and 20 s, and all 160 s."""
    lines = [json.loads(line) for line in (copy / "metrics.jsonl").read_text().splitlines()]
    for line, (train_s, end_s, works_s) in zip(lines, [(50.0, 10.0, 40.0), (30.0, 10.0, 20.0)], strict=True):
        line |= {"seconds": train_s + end_s, "train_seconds": train_s, "end_seconds": end_s}
        line |= {"client_actors": 2, "phase_seconds": {"generate": works_s / 2, "discriminate": works_s / 2}} | more
    (copy / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    summary = json.loads((copy / "summary.json").read_text())
    (copy / "summary.json").write_text(json.dumps(summary | {"seconds": 160.0, "start_seconds": 40.0}))
    return " ".join(checked(write_report(copy)).text.split())


def test_the_time_card_adds_up_to_the_wall_clock_with_waiting(copy: Path) -> None:
    text = told_times(copy)
    assert "3.3 min by the clock, from the call to the end, for 2 rounds:" in text
    for part in (
        "start: data, plan, actors 0.7 min 20%", "a client's actor at work, on average 0.5 min 15%",
        "the same actor waiting for the others 0.8 min 25%", "averaging 0.3 min 10%",
        "scores that training waited for 1.0 min 30%",
    ):  # fmt: skip
        assert part in text, part


def test_a_run_of_before_has_steps_with_waiting(copy: Path) -> None:
    assert "steps, with waiting for the slowest 1.3 min 40%" in told_times(copy, client_actors=0)


def test_parts_that_are_shown_add_up() -> None:
    assert shares([1, 1, 1]) == ["33%", "34%", "33%"]
    assert shares([]) == []
    assert durations([0.25, 0.25, 0.25]) == ["250.0 ms"] * 3
    assert durations([100.0, 100.0, 100.0]) == ["1.7 min", "1.6 min", "1.7 min"]


def test_the_run_says_how_it_can_be_had_again(copy: Path) -> None:
    summary = json.loads((copy / "summary.json").read_text())
    assert summary["command"] is None, "from Python"
    (copy / "summary.json").write_text(json.dumps(summary | {"command": f"raygan train --out {HOSTILE}"}))
    text = " ".join(checked(write_report(copy)).text.split())
    for part in (
        f"raygan train --out {HOSTILE}", f"raygan train {copy}/config.yaml --out {copy}-again",
        f"raygan train --resume {copy} --set training.rounds=4", f"torch {summary['versions']['torch']}",
        "small 2 1 GFLOP/s 100 MB/s no limit", "not of the machines that this run was on",
    ):  # fmt: skip
        assert part in text, part


def test_numbers_of_clusters_are_light_on_dark() -> None:
    assert contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    for colour in PALETTE:
        assert contrast((255, 255, 255), tuple(bytes.fromhex(colour[1:]))) >= 4.5, colour


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_browser_shows_it_whole_and_readable_at_three_widths_by_day_and_by_night(copy: Path) -> None:
    """A long one: forty rounds, and names and faults of one long word."""
    for name in ("metrics.jsonl", "clusters.jsonl"):
        last = json.loads((copy / name).read_text().splitlines()[-1])
        more = {"faults": ["x" * 200]} if name == "metrics.jsonl" else {}
        lines = [json.dumps(last | more | {"round": number}).replace("domain1", "d" * 80) for number in range(1, 41)]
        (copy / name).write_text("\n".join(lines) + "\n")
    assert flaws(write_report(copy)) == []


def test_phases_of_older_runs_are_shown_under_todays_names() -> None:
    """A run that was begun by an older version and resumed by this one has both."""
    rounds = [
        {"phase_seconds": {"judge": 1.0, "fool": 2.0}, "body_seconds": {"fool forward": 4.0}},
        {"phase_seconds": {"generator_loss": 8.0}, "body_seconds": {"adversarial forward": 16.0}},
    ]
    totals = phase_totals(SimpleNamespace(rounds=rounds))  # type: ignore[arg-type]
    assert {phase_name(name): seconds for name, seconds in totals.items()} == {
        "clients: discriminator's loss": 1.0,
        "clients: generator's loss": 10.0,
        "body: adversarial forward": 20.0,
    }
