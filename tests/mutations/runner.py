"""Applies mutations to a copy of the repository, one at a time, and runs the tests that should notice."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path

from tests.mutations.table import Mutation

PARTS = ("raygan", "tests", "pyproject.toml")
TIMEOUT_S = 300
PASSED, FAILED = 0, 1
"""pytest's exit codes; the others say that it could not run the tests."""


class BrokenError(RuntimeError):
    """The tests could not judge: they fail without a mutation, or could not be run with it."""


@dataclass(frozen=True)
class Outcome:
    """What became of a mutation."""

    mutation: Mutation
    killed_by: str | None
    """The first test that failed; None: it survived."""


def copy_repository(root: Path, folder: Path) -> None:
    """What the tests need, without caches."""
    for part in PARTS:
        source, target = root / part, folder / part
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)


def try_mutation(mutation: Mutation, copy: Path) -> Outcome:
    """Runs a mutation's tests with it applied to the copy, which is as before afterwards.

    Raises:
        BrokenError: the tests could not be run.
    """
    file = copy / mutation.file
    honest = file.read_text()
    try:
        _write(file, mutated(mutation, honest))
        return Outcome(mutation, first_failure(mutation.tests, copy))
    finally:
        _write(file, honest)


def mutated(mutation: Mutation, text: str) -> str:
    """The file's text with the mistake in it.

    Raises:
        BrokenError: the old text is not there exactly once.
    """
    if (found := text.count(mutation.old)) != 1:
        raise BrokenError(f"{mutation.name}: its old text stands {found} times in {mutation.file}, not once")
    return text.replace(mutation.old, mutation.new)


def first_failure(tests: Iterable[str], copy: Path) -> str | None:
    """The first of the tests that fails in the copy; None: all pass.

    Raises:
        BrokenError: pytest could not run them.
    """
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", *tests]
    environment = os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        command, cwd=copy, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    if ended.returncode == PASSED:
        return None
    name = re.search(r"^(?:FAILED|ERROR) (\S+::\S+)", ended.stdout, re.MULTILINE)
    if ended.returncode != FAILED or name is None:
        raise BrokenError(f"pytest ended with {ended.returncode}: {(ended.stdout + ended.stderr)[-2000:]}")
    return name[1]


def _write(file: Path, text: str) -> None:
    """Without the compiled file: it is known by its second and size, which two mutations may share."""
    file.write_text(text)
    Path(cache_from_source(str(file))).unlink(missing_ok=True)
