"""`raygan/docs/extend.md`: its examples are whole, touch as many files as it says, and train."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.rounds import rounds_of

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "raygan" / "docs" / "extend.md"
SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", flags=re.DOTALL | re.MULTILINE)
FILES = re.compile(r"^Files touched: (\d)\. Then: `[^`\n]*raygan train [^`\n]+`$", flags=re.MULTILINE)
EDIT = re.compile(r"^`([\w./]+)`, [^\n]+:\n\n```(python|diff)\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"raygan train ([^`\n]+)`")
TITLES = ["A loss", "A score", "An aggregation rule", "A clustering rule", "A network", "An algorithm"]


@dataclass(frozen=True)
class Example:
    """One section of the page."""

    title: str
    text: str

    @property
    def num_files(self) -> int:
        """As it says."""
        (stated,) = FILES.findall(self.text)
        return int(stated)

    @property
    def overrides(self) -> list[str]:
        """The keys that its command sets."""
        found = COMMAND.search(self.text)
        assert found, f"{self.title}: no command"
        return [value for flag, value in pairwise(shlex.split(found[1])) if flag == "--set"]

    def apply(self, folder: Path) -> None:
        """Makes its new files, and its changes to those that are there."""
        for path, language, code in EDIT.findall(self.text):
            file = folder / path
            if language == "python":
                assert not file.exists(), f"{path} is there already"
                file.write_text(code, encoding="utf-8")
                continue
            lines = code.splitlines(keepends=True)
            before, after = ("".join(x[1:] for x in lines if x[0] != sign) for sign in "+-")
            text = file.read_text(encoding="utf-8")
            assert text.count(before) == 1, f"{path} has {text.count(before)} times:\n{before}"
            file.write_text(text.replace(before, after), encoding="utf-8")


EXAMPLES = {
    title: Example(title, text)
    for title, text in SECTION.findall(PAGE.read_text(encoding="utf-8"))
    if FILES.search(text)
}


def contents(folder: Path) -> dict[str, str]:
    return {str(path): sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


@dataclass(frozen=True)
class Extended:
    """The package with all examples, and what they gave."""

    touched: dict[str, set[str]]
    answers: dict[str, Any]
    runs: Path

    def rounds(self, title: str) -> list[dict[str, Any]]:
        """Lines of `metrics.jsonl`."""
        return rounds_of(self.runs / title.replace(" ", "-"))


@pytest.fixture(scope="module")
def extended(tiny_settings: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Extended:
    folder = tmp_path_factory.mktemp("extended")
    package = folder / "package"
    shutil.copytree(ROOT / "raygan", package / "raygan", ignore=shutil.ignore_patterns("__pycache__"))
    touched = {}
    for title, example in EXAMPLES.items():
        before = contents(package)
        example.apply(package)
        touched[title] = {name for name, digest in contents(package).items() if before.get(name) != digest}
    shutil.copy(ROOT / "tests" / "extended.py", package)
    config = folder / "tiny.yaml"
    config.write_text(yaml.safe_dump(small(tiny_settings, folder)), encoding="utf-8")
    jobs = json.dumps({title: example.overrides for title, example in EXAMPLES.items()})
    command = [sys.executable, str(package / "extended.py"), str(config), jobs, str(folder / "runs")]
    environment = os.environ | {"PYTHONPATH": str(package)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return Extended(touched, json.loads(done.stdout.splitlines()[-1]), folder / "runs")


def small(settings: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Six clients with different cuts, two rounds of two steps."""
    domains = [{**domain, "limit": 48} for domain in settings["data"]["domains"]]
    return settings | {
        "data": {"domains": domains},
        "clusters": {"count": 2, "warmup_rounds": 0, "feature_batches": 2},
        "cuts": {"solver": "exact"},
        "evaluation": {"images": 16, "cache": str(folder / "classifiers")},
    }


def test_the_page_has_an_example_of_each_kind() -> None:
    assert list(EXAMPLES) == TITLES


@pytest.mark.slow
@pytest.mark.parametrize("title", TITLES)
def test_it_touches_as_many_files_as_it_says_one_or_two(extended: Extended, title: str) -> None:
    assert len(extended.touched[title]) == EXAMPLES[title].num_files <= 2


@pytest.mark.slow
@pytest.mark.parametrize("title", TITLES)
def test_it_trains(extended: Extended, title: str) -> None:
    rounds = extended.rounds(title)
    assert [line["clients"] for line in rounds] == [6, 6]
    assert all(isinstance(line["generator_loss"], float) for line in rounds)
    faults = [fault for line in rounds for fault in line["faults"]]
    assert [fault for fault in faults if not fault.endswith("does not read it")] == []
    assert all(entry["label_agreement"] is not None for entry in rounds[-1]["scores"].values())


@pytest.mark.slow
def test_the_least_squares_loss_by_hand(extended: Extended) -> None:
    assert extended.answers["A loss"] == [((4 + 0.25) / 2 + (1 + 1) / 2) / 2, (9 + 0.25) / 2 / 2]


@pytest.mark.slow
def test_the_score_by_hand_in_each_line_and_again(extended: Extended) -> None:
    answer = extended.answers["A score"]
    assert answer["by_hand"] == (0.5 + 1.0 + 0.75) / 3
    for line in extended.rounds("A score"):
        for entry in line["scores"].values():
            assert 0.1 <= entry["certainty"] <= 1
            assert 0.1 <= entry["real"]["certainty"] <= 1
    last = extended.rounds("A score")[-1]["scores"]
    assert {name: entry["certainty"] for name, entry in answer["again"].items()} == {
        name: entry["certainty"] for name, entry in last.items()
    }


@pytest.mark.slow
def test_the_plain_mean_by_hand(extended: Extended) -> None:
    held_by_all, held_by_one = extended.answers["An aggregation rule"]
    assert held_by_all == [5.0, 5, "float32", "int64"], "of 1, 12 and 2, whatever they weigh"
    assert held_by_one == [10.0, 10, "float32", "int64"], "of 9, 9 and 12"


@pytest.mark.slow
def test_ward_by_hand(extended: Extended) -> None:
    found = extended.answers["A clustering rule"]
    assert found["one"] == [0]
    assert sorted(set(found["auto"])) == [0, 1, 2]
    assert found["auto"][::2] == found["auto"][1::2], "neighbours are together"
    assert sorted(set(found["two"])) == [0, 1]
    assert extended.rounds("A clustering rule")[-1]["clusters"] == 2


@pytest.mark.slow
def test_the_generator_has_four_blocks(extended: Extended) -> None:
    assert extended.answers["A network"] == [[3, 1, 12, 12], 4]


@pytest.mark.slow
def test_the_algorithm_gives_all_clients_one_model(extended: Extended) -> None:
    assert extended.answers["An algorithm"] == [1, 6, 6]
    links = extended.rounds("An algorithm")[-1]["links"]
    assert set(links) == {"client -> aggregator", "aggregator -> client", "aggregator -> evaluator"}
