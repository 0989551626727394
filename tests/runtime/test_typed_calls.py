"""A misspelt method or a wrong argument of a call across actors fails the type check, not a run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SETTINGS = """\
[mypy]
strict = True
follow_imports = silent
[mypy-numpy.*,pandas.*,pydantic.*,ray.*,scipy.*,sklearn.*,torch.*,torchvision.*,yaml.*]
follow_imports = skip
"""
"""The project's, but for the packages that no call's types need: to read them takes most of a minute. Without them the
project's own files show errors that are none, so only the calls are judged."""
HEADER = """\
from collections.abc import Sequence
from raygan.parties.base import Worker
from raygan.runtime.backend import Backend, Handle, Reference, together
from raygan.whole.clients import WholeClients
from raygan.wire.records import CheckIn, Inventory, Lost, StepId, Written
def calls(handle: Handle[WholeClients], backend: Backend, step: StepId, number: Reference[int]) -> None:
"""
RIGHT = [
    "handle.call(WholeClients.train, step)",
    "handle.call(Worker.begin_round, 1, (0, 1))",
    "handle.call(Worker.begin_round, number, None)",
    "written: Reference[Written] = handle.call(Worker.save, 'folder')",
    "held: Sequence[Reference[Inventory]] = handle.call_many(2, Worker.inventory)",
    "answers: list[CheckIn | Lost] = backend.fetch([handle.call(Worker.check_in)])",
]
WRONG = [
    ("handle.call(WholeClients.trian, step)", '"type[WholeClients]" has no attribute "trian"'),
    ("handle.call(WholeClients.train, 3)", 'expected "Callable[[WholeClients, int], StepReport]"'),
    ("handle.call(WholeClients.train)", 'expected "Callable[[WholeClients], StepReport]"'),
    ("handle.call(Worker.begin_round, together([number]), None)", 'expected "int | Reference[int]"'),
    ("handle.call_many(2, Worker.check_in)", 'expected "Callable[[WholeClients], Sequence['),
    (
        "lost: list[int | Lost] = backend.fetch([handle.call(Worker.check_in)])",
        '"Callable[[Worker], CheckIn]"',
    ),
]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Call -> what mypy says of it; one run for all."""
    folder = tmp_path_factory.mktemp("typed")
    (folder / "mypy.ini").write_text(SETTINGS)
    calls = [*RIGHT, *(call for call, _ in WRONG)]
    (folder / "calls.py").write_text(HEADER + "".join(f"    {call}\n" for call in calls))
    command = [sys.executable, "-m", "mypy", "--config-file=mypy.ini", "--hide-error-context", "calls.py"]
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 1, run.stdout + run.stderr
    said = dict.fromkeys(calls, "")
    for line in run.stdout.splitlines()[:-1]:
        file, number, message = line.split(":", 2)
        place = int(number) - HEADER.count("\n") - 1
        assert file == "calls.py", line
        assert place >= 0, line
        said[calls[place]] += message
    return said


@pytest.mark.parametrize("call", RIGHT)
def test_right_call(found: dict[str, str], call: str) -> None:
    assert found[call] == ""


@pytest.mark.parametrize(("call", "message"), WRONG)
def test_wrong_call(found: dict[str, str], call: str, message: str) -> None:
    assert message in found[call]
