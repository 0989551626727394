"""The README's commands, options and paths exist, and so do its sections that others name."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import pytest
from typer.main import get_command

from raygan.cli.app import app
from raygan.config.loading import read_config
from raygan.search.search import read_search

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(?:sh|console)\n(.*?)```", README, flags=re.DOTALL)
LINES = [line.removeprefix("$ ") for block in BLOCKS for line in block.splitlines()]
COMMANDS = [line for line in LINES if re.match(r"(\.venv/bin/)?raygan ", line)]
PROSE = re.sub(r"```.*?```", "", README, flags=re.DOTALL)
SECTIONS = set(re.findall(r"^#+ (.+)$", PROSE, flags=re.MULTILINE))
SHIPPED = [path for name in ("raygan", "tune_configs") for path in sorted((ROOT / name).rglob("*.*"))]
CITED = [
    (str(path.relative_to(ROOT)), " ".join(section.replace("#", " ").split()))
    for path in (ROOT / "cluster.yaml", *SHIPPED)
    if path.suffix in (".py", ".yaml", ".md", ".html")
    for section in re.findall(r'README,[\s#]*"([^"]+)"', path.read_text(encoding="utf-8"))
]


def test_nothing_is_left_to_fill_in() -> None:
    assert not re.search(r"^[A-Z]{3,}$", README, flags=re.MULTILINE)


def test_the_first_two_commands_set_up_and_run() -> None:
    first, second = LINES[:2]
    assert first.endswith(".venv/bin/raygan train")
    assert second in (ROOT / ".ci" / "run").read_text(encoding="utf-8"), "CI runs the README's test command"


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_and_their_options_exist(line: str) -> None:
    _, name, *arguments = shlex.split(line, comments=True)
    command = get_command(app).commands[name]  # type: ignore[attr-defined]
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    used = {argument.split("=")[0] for argument in arguments if argument.startswith("--")}
    assert used <= known, f"unknown options: {used - known}"


@pytest.mark.parametrize("line", [line for line in COMMANDS if "--set" in line])
def test_overrides_are_keys(line: str) -> None:
    arguments = shlex.split(line, comments=True)
    overrides = [value for flag, value in pairwise(arguments) if flag == "--set"]
    if arguments[1] == "tune":
        assert read_search(ROOT / arguments[2], overrides).points()
    else:
        read_config(None, overrides)


@pytest.mark.parametrize(
    "path", sorted(set(re.findall(r"`((?:raygan|tests|tune_configs)/[\w./]*)`", README)))
)
def test_paths_exist(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.mark.parametrize(("path", "section"), CITED)
def test_sections_that_the_code_names_exist(path: str, section: str) -> None:
    assert section in SECTIONS, f"{path} names a section that the README has not"


def test_the_codes_references_are_found() -> None:
    assert ("raygan/run/folder.py", "A run's folder") in CITED
    assert ("cluster.yaml", "On a cluster") in CITED
    assert {"Use it", "On a cluster"} <= SECTIONS
