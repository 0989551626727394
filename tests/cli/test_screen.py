"""How much is said, and where."""

from __future__ import annotations

import logging
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest

from raygan.cli.progress import EVERY_SECONDS
from raygan.cli.screen import LOG, make_screen
from raygan.cli.trials import Progress
from tests.cli.command import command


@pytest.fixture(autouse=True)
def _no_log_is_left():
    yield
    for handler in [kept for kept in LOG.handlers if isinstance(kept, logging.FileHandler)]:
        LOG.removeHandler(handler)
        handler.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((True, False), "warning w\n"),
        ((False, False), "line [1]\nwarning w\n"),
        ((False, True), "line [1]\ndetail\nwarning w\n"),
    ],
    ids=["quiet", "normal", "verbose"],
)
def test_as_much_as_was_asked_for(
    options: tuple[bool, bool], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    screen = make_screen(*options, tmp_path / "new" / "log.txt")
    screen.tell("line [1]")
    screen.detail("detail")
    screen.warn("w")
    assert capsys.readouterr() == (said, "")
    lines = (tmp_path / "new" / "log.txt").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines] == ["INFO line [1]", "DEBUG detail", "WARNING w"]


def test_a_log_is_appended_to(tmp_path: Path) -> None:
    for text in ("first", "second"):
        make_screen(False, False, tmp_path / "log.txt").tell(text)
    assert [line.split()[-1] for line in (tmp_path / "log.txt").read_text().splitlines()] == ["first", "second"]


def test_without_a_log_python_is_told_and_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="raygan"):
        make_screen(True, False, None).tell("said")
    assert caplog.messages == ["said"]


def test_bad_options(tmp_path: Path) -> None:
    command("train", "-q", "-v").assert_refused("--quiet: given with --verbose; give one of them")
    command("train", "--log-file", tmp_path).assert_refused("--log-file:", "cannot be written (Is a directory)")


def test_trials_say_as_much_as_was_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ray Tune keeps the callback: it speaks on the screen of the command that goes on."""
    progress, trial = pickle.loads(pickle.dumps(Progress("label_agreement", 2))), SimpleNamespace(trial_id="a")
    result = {"round": 3, "seconds": 1.0, "label_agreement": 0.5, "generator_loss": 2.0, "pid": 7}
    make_screen(quiet=False, verbose=True, log_file=None)
    progress.on_trial_result(1, [], trial, result)
    assert capsys.readouterr().out.splitlines()[1:] == ["trial 1/2  seconds 1, generator loss 2"]
    make_screen(quiet=True, verbose=False, log_file=tmp_path / "search.log")
    progress.on_trial_result(1, [], trial, result)
    assert capsys.readouterr().out == ""
    assert (tmp_path / "search.log").read_text().count(" trial 1/2  ") == 2
    monkeypatch.setitem(EVERY_SECONDS, "normal", 0.0)
    make_screen(quiet=False, verbose=False, log_file=None)
    progress.on_step_end(1, [SimpleNamespace(status=s) for s in ("TERMINATED", "RUNNING", "PENDING", "PENDING")])
    assert capsys.readouterr().out == "1 ended, 1 running, 2 waiting\n"
