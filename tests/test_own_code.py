"""Whatever the user's own code raises is one line with its file and line; what others raise is left alone."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from raygan.errors import ConfigError, DataError
from raygan.own_code import blaming, fenced, imported


def line_of(function: Callable[..., object]) -> int:
    """The line below its `def`."""
    return function.__code__.co_firstlineno + 1


def exits() -> None:
    sys.exit("bye")


def interrupts() -> None:
    raise KeyboardInterrupt


def looks_up() -> None:
    print([][len(sys.argv)])


def is_interrupted() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(10)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (exits, "SystemExit: bye"),
        (interrupts, "KeyboardInterrupt"),
        (looks_up, "IndexError: list index out of range"),
    ],
)
def test_what_the_users_code_raises_is_one_line(function: Callable[[], None], words: str) -> None:
    place = f"{Path(__file__).relative_to(Path.cwd())}, line {line_of(function)}"
    for fence in (fenced("model.blocks", "mine:f failed with"), blaming(("model.blocks", "mine:f"))):
        with pytest.raises(ConfigError) as caught, fence:
            function()
        assert str(caught.value) == f"model.blocks: mine:f failed with {words} ({place}); mend it"
        assert type(caught.value.__cause__).__name__ == words.partition(":")[0], "which keeps the traceback"


def test_a_signal_is_not_the_users_fault() -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # of a job in the background it is ignored
    try:
        with pytest.raises(KeyboardInterrupt), fenced("model.blocks", "mine:f failed with"):
            is_interrupted()
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_error_of_ours_passes_a_fence() -> None:
    with pytest.raises(DataError, match="a: b; c"), fenced("model.blocks", "mine:f failed with"):
        raise DataError("a", "b", "c")


def test_what_is_not_raised_in_the_users_code_is_not_blamed_on_it() -> None:
    with pytest.raises(SystemExit), blaming(("model.blocks", None)):
        exits()


def test_what_is_printed_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output may be one JSON document."""
    with fenced("model.blocks", "mine:f failed with"):
        print("mine")
    assert capsys.readouterr() == ("", "mine\n")


def test_the_current_folder_is_looked_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "raygan_test_own.py").write_text("def f():\n    return 3\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])
    before = list(sys.path)
    assert imported("raygan_test_own:f", "model.blocks")() == 3
    assert sys.path == before
    monkeypatch.delitem(sys.modules, "raygan_test_own")
