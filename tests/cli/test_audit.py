"""How far an audit is, where nobody sees its bar."""

from __future__ import annotations

import pytest

import raygan.cli.audit as cli


def test_a_line_every_thirty_seconds(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    now = [100.0]
    monkeypatch.setattr(cli.time, "monotonic", lambda: now[0])
    with cli._progress() as meter:  # standard error is no terminal here
        meter.total, told = 4, []
        meter.begin("labels")
        for seconds in (10, 21, 9, 22):
            now[0] += seconds
            meter.tick()
            told.append(capsys.readouterr().err)
    assert told == ["", " 50%  labels\n", "", "100%  labels\n"]
