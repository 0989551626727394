"""The command line as a whole: its version, its help, and that Python can be asked for it."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import raygan
from raygan.report.about import CHAPTERS
from tests.cli.command import command


def shown(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "raygan", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_the_version_is_written_once(tmp_path: Path) -> None:
    assert shown(tmp_path, "--version") == f"raygan {raygan.__version__}\n"
    assert importlib.metadata.version("raygan") == raygan.__version__


@pytest.mark.parametrize("arguments", [["-h"], ["--help"], ["train", "-h"]])
def test_help_has_a_short_name(tmp_path: Path, arguments: list[str]) -> None:
    assert "Usage: python -m raygan" in shown(tmp_path, *arguments)


def test_every_chapter_of_the_package_can_be_read() -> None:
    pages = {
        path.stem: path.read_text(encoding="utf-8") for path in (Path(raygan.__file__).parent / "docs").glob("*.md")
    }
    listed = command("docs").out.splitlines()
    assert [line.split()[0] for line in listed[:-1]] == sorted(pages)
    assert all(f"# {line.split(maxsplit=1)[1]}\n" in pages[line.split()[0]] for line in listed[:-1])
    assert command("docs", "method").out == pages["method"]
    command("docs", "metod").assert_refused("'metod' is no chapter; did you mean 'method'?")


def test_the_report_names_chapters_that_there_are() -> None:
    assert all(command("docs", name).status == 0 for name in CHAPTERS)


def test_what_a_person_may_write_is_there_to_be_completed() -> None:
    assert {"Config", "Run", "train", "resume", "tune"} <= set(dir(raygan))
