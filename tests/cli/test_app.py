"""The command line as a whole: its version, its help, and that Python can be asked for it."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import pytest

import raygan


def shown(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "raygan", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_the_version_is_written_once(tmp_path: Path) -> None:
    assert shown(tmp_path, "--version") == f"raygan {raygan.__version__}\n"
    assert importlib.metadata.version("raygan") == raygan.__version__


@pytest.mark.parametrize("arguments", [["-h"], ["--help"], ["train", "-h"]])
def test_help_has_a_short_name(tmp_path: Path, arguments: list[str]) -> None:
    assert "Usage: python -m raygan" in shown(tmp_path, *arguments)
