"""`raygan/docs/examples.md`: every example is whole and trains."""

from __future__ import annotations

import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
import yaml

import raygan
from raygan.run.stored import Run
from tests.cli.command import command
from tests.test_docs import README

PAGE = README.path.parent / "raygan" / "docs" / "examples.md"
NOTEBOOK = PAGE.with_name("notebook.ipynb")
SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", flags=re.DOTALL | re.MULTILINE)
FILE = re.compile(r"^`([\w.]+)`, a new file:\n\n```\w+\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"`((?:python|raygan) [^`]+)`")
SECTIONS = dict(SECTION.findall(PAGE.read_text(encoding="utf-8")))
SHORT = ("training.rounds=1", "training.batch_size=8", "model.width=0.0625", "model.image_size=8",
         "clusters.warmup_rounds=0", "evaluation.images=20")  # fmt: skip
FEW = (("1500:", "150:190"), (":1500", ":150"), ('"rounds": 3', '"rounds": 2'), ("0.125", "0.0625"), ("200", "20"))
"""In the notebook, for shorter training."""
LITTLE = ("data.domains.0.limit=40", "data.domains.1.limit=40")


@pytest.fixture(autouse=True)
def _nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The modules of one example are not those of another."""
    for name in ("deep_networks", "by_likeness"):
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.mark.parametrize("title", list(SECTIONS))
def test_it_trains(title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, text in FILE.findall(SECTIONS[title]):
        (tmp_path / name).write_text(text, encoding="utf-8")
    commands = [shlex.split(line) for line in COMMAND.findall(SECTIONS[title])]
    assert commands
    for program, *arguments in commands:
        if program == "python":
            runpy.run_path(arguments[0])
            continue
        changes = [part for change in (*SHORT, *LITTLE) for part in ("--set", change)]
        trains = "--dry-run" not in arguments
        more = ["--in-process", *([] if "--out" in arguments else ["--out", "run"])] if trains else []
        found = command(*arguments, *more, *changes)
        assert (found.status, found.err) == (0, ""), found
        if trains:
            folder = arguments[arguments.index("--out") + 1] if "--out" in arguments else "run"
            assert Run.load(folder).ended
            assert Run.load(folder).clusters["client"].nunique() == 6


@pytest.mark.slow
def test_the_notebook_runs_from_top_to_bottom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    script = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    for long, short in FEW:
        assert long in script
        script = script.replace(long, short)
    (tmp_path / "script.py").write_text(script, encoding="utf-8")
    left = runpy.run_path(str(tmp_path / "script.py"))
    assert left["run"].metrics["clusters"].tolist() == [1, len(left["generators"])]
    assert (tmp_path / "runs" / "notebook" / "report.html").is_file()


def test_the_notebook_is_kept_without_output() -> None:
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        assert cell.get("outputs", []) == []


def test_the_citation_is_of_this_version() -> None:
    found = yaml.safe_load((PAGE.parent / "CITATION.cff").read_text(encoding="utf-8"))
    assert found["version"] == raygan.__version__
    assert {"cff-version", "message", "title", "authors"} <= found.keys()


def test_there_is_one_of_each_kind() -> None:
    assert list(SECTIONS) == ["Your own folder of images", "Your own networks", "Your own clustering rule"]
