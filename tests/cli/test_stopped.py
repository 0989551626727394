"""What a command says that a signal has stopped."""

from __future__ import annotations

import signal

import pytest

from tests.cli.command import command


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("arguments", "called", "hint"),
    [
        (["train"], "train.train_and_show", "; a run goes on after its last whole round with raygan train --resume"),
        (["tune", "a.yaml"], "tune.search_and_show", "; a search goes on with raygan tune --resume DIR"),
        (["tune", "--resume", "a"], "tune.resume_and_show", "; a search goes on with raygan tune --resume DIR"),
        (["bench"], "bench.show_bench", ""),
    ],
    ids=["train", "tune", "tune-resume", "bench"],
)  # fmt: skip
def test_a_command_says_how_it_goes_on(
    arguments: list[str], called: str, hint: str, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"raygan.cli.{called}", lambda *given: signal.raise_signal(number))
    stopped = command(*arguments)
    assert stopped.status == 128 + number
    line = stopped.err.splitlines()[-1]
    assert line.startswith(f"raygan: stopped by {number.name}{hint}")
    assert hint or line.endswith(number.name)
