"""`raygan/docs/examples.md`: every example is whole and trains."""

from __future__ import annotations

import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest

from raygan.run.stored import Run
from tests.cli.command import command
from tests.test_docs import README

PAGE = README.path.parent / "raygan" / "docs" / "examples.md"
SECTION = re.compile(r"^## (.+?)\n(.*?)(?=^## |\Z)", flags=re.DOTALL | re.MULTILINE)
FILE = re.compile(r"^`([\w.]+)`, a new file:\n\n```\w+\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
COMMAND = re.compile(r"`((?:python|raygan) [^`]+)`")
SECTIONS = dict(SECTION.findall(PAGE.read_text(encoding="utf-8")))
SHORT = ("training.rounds=1", "training.batch_size=8", "model.width=0.0625", "model.image_size=8",
         "clusters.warmup_rounds=0", "evaluation.images=20")  # fmt: skip
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


def test_there_is_one_of_each_kind() -> None:
    assert list(SECTIONS) == ["Your own folder of images", "Your own networks", "Your own clustering rule"]
