"""What documentation, docstrings and comments name is there: files, modules with their members, keys."""

from __future__ import annotations

import re
from functools import reduce
from importlib import import_module
from pathlib import Path

import pytest

from tests.config.snapshot import contract

ROOT = Path(__file__).parent.parent
FOLDERS = ("raygan", "tests", "tune_configs", ".ci")
PATH = re.compile(r"(?<![\w/.-])(?:raygan|tests|tune_configs|\.ci)/[\w./-]*\w")
MEMBER = re.compile(r"`(raygan(?:\.\w+)+)(?:\(\))?`")
KEY = re.compile(r"`([a-z_]+\.[a-z_.]+[a-z_])[`:= ]")
CREATED = re.compile(r"^`([\w./]+)`, a new file:$", flags=re.MULTILINE)
INVENTED = {"raygan/evaluation/scores/NAME.py"}
FILES = {"csv", "json", "jsonl", "md", "npz", "png", "py", "yaml"}
"""Endings of files in a run's folder: `cuts.json` is no key."""
NOT_KEYS = {"ray.init", "ray.util.metrics"}
"""Of Ray's own."""
TEXTS = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for folder in (*FOLDERS, ".")
    for path in sorted((ROOT / folder).glob("*" if folder == "." else "**/*"))
    if path.suffix in (".py", ".yaml", ".toml", ".md", ".html") and path.name != "test_mutations.py"
}


def known_keys() -> set[str]:
    """Keys of configurations and searches, and the sections that they are in."""
    parts = [name.split(" ")[1].split(".") for name in contract() if name.startswith(("config ", "search "))]
    return {".".join(key[:length]) for key in parts for length in range(1, len(key) + 1)}


KEYS = known_keys()
SECTIONS = {key for key in KEYS if any(other.startswith(f"{key}.") for other in KEYS)}
NAMED_PATHS = [
    (file, path)
    for file, text in TEXTS.items()
    for path in sorted(set(PATH.findall(text)) - set(CREATED.findall(text)) - INVENTED)
]
NAMED_MEMBERS = [(file, name) for file, text in TEXTS.items() for name in sorted(set(MEMBER.findall(text)))]
NAMED_KEYS = [
    (file, key)
    for file, text in TEXTS.items()
    for key in sorted(set(KEY.findall(text)) - NOT_KEYS)
    if key.split(".")[0] in SECTIONS and key.split(".")[-1] not in FILES
]


def test_there_is_something_to_check() -> None:
    assert ("README.md", "raygan/algorithms/huscf.py") in NAMED_PATHS
    assert ("raygan/docs/files.md", "tests/split/test_canary.py") in NAMED_PATHS
    assert ("raygan/config/choices.py", "raygan.algorithms.base.Algorithm") in NAMED_MEMBERS
    assert ("raygan/docs/measurements.md", "wire.codec") in NAMED_KEYS
    assert ("raygan/parties/aggregator.py", "clusters.aggregation") in NAMED_KEYS


@pytest.mark.parametrize(("file", "path"), NAMED_PATHS)
def test_files_that_are_named_exist(file: str, path: str) -> None:
    assert (ROOT / path).exists(), f"{file} names it"


@pytest.mark.parametrize(("file", "name"), NAMED_MEMBERS)
def test_modules_and_members_that_are_named_exist(file: str, name: str) -> None:
    parts = name.split(".")
    path = next(n for n in range(len(parts), 0, -1) if is_module(parts[:n]))
    reduce(member, parts[path:], import_module(".".join(parts[:path])))


def is_module(parts: list[str]) -> bool:
    path = ROOT.joinpath(*parts)
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def member(holder: object, name: str) -> object:
    """An attribute, or a field that only instances have."""
    return getattr(holder, name, None) or holder.__annotations__[name]


@pytest.mark.parametrize(("file", "key"), NAMED_KEYS)
def test_keys_that_are_named_exist(file: str, key: str) -> None:
    assert key in KEYS, f"{file} names it"
