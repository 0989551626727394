"""Callbacks of `raygan train` by name."""

from __future__ import annotations

import pytest

from raygan.cli import callbacks
from raygan.cli.callbacks import named_callbacks
from tests.cli.command import command


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (("wanbd",), "--callback: no callback 'wanbd'; did you mean 'wandb'?"),
        (("wandb=3",), "--callback: '3' is no mapping; write wandb={argument: value}"),
        (("wandb={",), "--callback: '{' is no mapping"),
        (("mlflow", "mlflow={}"), "--callback: mlflow twice; give each once"),
    ],
)
def test_one_line(given: tuple[str, ...], words: str) -> None:
    command("train", *(part for name in given for part in ("--callback", name))).assert_refused(words)


def test_names_and_arguments_go_where_those_of_a_search_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygan.search.scheduling.make_loggers", lambda asked: list(asked.items()))
    found = callbacks.named_callbacks(["wandb={project: mine}", "mlflow"])
    assert found == [("wandb", {"project": "mine"}), ("mlflow", {})]
    assert named_callbacks([]) == []
