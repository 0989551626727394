"""What a command says that a signal has stopped."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from raygan.cli.going_on import GOING_ON
from raygan.errors import RunError, StoppedError
from tests.cli.command import command


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("arguments", "called", "hint"),
    [
        (["train"], "train.train_and_show", ""),
        (["tune", "a.yaml"], "tune.search_and_show", "; a search goes on with raygan tune --resume DIR"),
        (["tune", "--resume", "a"], "tune.resume_and_show", "; a search goes on with raygan tune --resume DIR"),
        (["bench"], "bench.show_bench", ""),
    ],
    ids=["train", "tune", "tune-resume", "bench"],
)  # fmt: skip
def test_a_command_says_how_it_goes_on(
    arguments: list[str], called: str, hint: str, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(GOING_ON, "_command", "")  # of a test before
    monkeypatch.setattr(f"raygan.cli.{called}", lambda *given: signal.raise_signal(number))
    stopped = command(*arguments)
    assert stopped.status == 128 + number
    line = stopped.err.splitlines()[-1]
    assert line.startswith(f"raygan: stopped by {number.name}{hint}")
    assert hint or line.endswith(number.name)


@pytest.fixture
def begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder, with a space in its name, whose work has begun."""
    for name, value in (("begun", False), ("_command", ""), ("_file", Path())):
        monkeypatch.setattr(GOING_ON, name, value)
    folder = tmp_path / "my run"
    folder.mkdir()
    (folder / "config.yaml").touch()
    GOING_ON.begin("raygan train --resume", folder, "config.yaml")
    return folder


def stopped_by(monkeypatch: pytest.MonkeyPatch, stop: Exception | signal.Signals) -> str:
    """The last line of `raygan train`, stopped so."""

    def train(*given: object) -> None:
        if isinstance(stop, Exception):
            raise stop
        signal.raise_signal(stop)

    monkeypatch.setattr("raygan.cli.train.train_and_show", train)
    return command("train").err.splitlines()[-1]


def test_a_stop_names_the_folder(begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hint = f"; it goes on with raygan train --resume '{begun}'"
    assert stopped_by(monkeypatch, signal.SIGTERM) == f"raygan: stopped by SIGTERM{hint}"
    GOING_ON.begun = True
    assert stopped_by(monkeypatch, StoppedError("round 2 was lost 3 times")).endswith(f"lost 3 times{hint}")
    assert stopped_by(monkeypatch, RunError("a.json", "full", "free it")).endswith(f"free it{hint}")


def test_nothing_goes_on_that_has_not_begun(begun: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert stopped_by(monkeypatch, RunError("a.json", "full", "free it")) == "raygan: a.json: full; free it"
    (begun / "config.yaml").unlink()
    assert stopped_by(monkeypatch, signal.SIGTERM) == "raygan: stopped by SIGTERM"
