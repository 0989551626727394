"""The report of a tiny run: whole, self-contained, escaped, and the same in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from matplotlib.axes import Axes

import raygan
from raygan.config.loading import make_config
from raygan.cuts import Plan
from raygan.errors import RunError
from raygan.report import sections, write_report
from raygan.report.headline import phase_name, phase_totals

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
        self.text += data


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
    assert sections == {"scores", "samples", "clusters", "time", "cuts", "faults", "configuration", "terms"}
    links = {attributes["href"] for tag, attributes in page.found if tag == "a"}
    assert links == {f"#{name}" for name in sections}
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
    for text in ("after round 1", "after round 2", "Losses", "one iteration, device by device"):
        assert [alt for alt in texts if text in alt], text


def test_curves_have_units_and_losses_stand_beside_scores(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels, set_label = [], Axes.set_ylabel
    monkeypatch.setattr(Axes, "set_ylabel", lambda axes, text, **x: labels.append(text) or set_label(axes, text, **x))
    text = write_report(copy).read_text()
    assert labels[:2] == ["label agreement 40, %", "generation score 40, no unit"]
    assert "loss, nats" in labels
    assert [label for label in labels if not label.endswith((", %", ", nats", ", no unit"))] == []
    assert "Losses" in text.partition('id="scores"')[2].partition('id="samples"')[0]
    assert "2 rounds, the last to the right" in text


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


def test_the_timeline_is_that_of_the_runs_own_cuts(copy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As the run wrote them, not as the configuration would have them now."""
    drawn = []

    def draw(plan: Plan, path: Path) -> Path:
        drawn.append(plan)
        path.write_bytes(b"")
        return path

    monkeypatch.setattr(sections, "draw_timeline", draw)
    cuts = json.loads((copy / "cuts.json").read_text())
    cuts |= {"solver": "exact", "lower_bound_s": 0.0, "optimal": False}
    cuts["clients"][0]["generator"] = [1, 1]
    (copy / "cuts.json").write_text(json.dumps(cuts))
    write_report(copy)
    (plan,) = drawn
    assert plan.cuts[0] == ((1, 1), (0, 0))
    assert plan.cuts[1] == ((0, 1), (1, 0))
    assert (plan.solver, plan.lower_bound_s, plan.optimal) == ("exact", 0.0, False)


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


def test_the_time_card_adds_up_to_the_wall_clock(copy: Path) -> None:
    lines = [json.loads(line) for line in (copy / "metrics.jsonl").read_text().splitlines()]
    for line, (train_s, end_s) in zip(lines, [(50.0, 10.0), (30.0, 10.0)], strict=True):
        line |= {"seconds": train_s + end_s, "train_seconds": train_s, "end_seconds": end_s}
    (copy / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    summary = json.loads((copy / "summary.json").read_text())
    (copy / "summary.json").write_text(json.dumps(summary | {"seconds": 160.0}))
    text = checked(write_report(copy)).text
    for part in ("2.7 min", "50% steps, with waiting", "12% ends of rounds", "38% classifiers, checkpoints and scores"):
        assert part in text


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb` (WCAG 2.2)."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_text_has_contrast_by_day_and_by_night() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    style = (Path(sections.__file__).parent / "style.css").read_text()
    palettes = [dict(re.findall(r"--(\w+): (#\w{6})", part)) for part in style.split("prefers-color-scheme: dark")]
    assert [palette.keys() for palette in palettes] == [{"ink", "soft", "line", "back", "panel", "accent"}] * 2
    for palette in palettes:
        for text in ("ink", "soft", "accent"):
            for ground in ("back", "panel"):
                assert contrast(palette[text], palette[ground]) >= 4.5, (text, ground)
    for colour in sections.PALETTE:
        assert contrast("#ffffff", colour) >= 4.5, colour


def test_a_browser_shows_it_without_an_error(run_path: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on this machine")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    options += ["--enable-logging=stderr", "--log-level=0", f"--user-data-dir={tmp_path / 'profile'}"]
    done = subprocess.run(
        [browser, *options, "--dump-dom", f"file://{run_path / 'report.html'}"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0
    assert 'id="configuration"' in done.stdout
    assert "CONSOLE" not in done.stderr, "errors and refused requests show there"


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
