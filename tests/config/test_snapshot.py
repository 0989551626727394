"""The command line and the keys of files stay: what people have written goes on working."""

from __future__ import annotations

from tests.config import snapshot

FOUND = snapshot.contract()
"""Read while tests are collected: later on, defaults are those of the test session (`evaluation.cache`)."""
HOW = "write it down: python -m tests.config.snapshot"


def test_nothing_is_gone_and_no_default_has_changed() -> None:
    problems = "\n".join(snapshot.broken(snapshot.read(), FOUND))
    assert not problems, problems


def test_what_is_new_is_written_down() -> None:
    new = "\n".join(name for name in FOUND if name not in snapshot.read())
    assert not new, f"{HOW}\n{new}"
    assert snapshot.SNAPSHOT.read_text(encoding="utf-8") == snapshot.text(FOUND), HOW


def test_it_has_options_arguments_sections_lists_and_free_names() -> None:
    frozen = snapshot.read()
    assert frozen["raygan train --dry-run"] == "false"
    assert frozen["raygan sample RUN"] == snapshot.REQUIRED
    assert frozen["config training.lr"] == "0.003"
    assert frozen["config data.domains.N.clients"] == "3"
    assert frozen["config data.partition.dirichlet"] == snapshot.REQUIRED
    assert frozen["config devices.profiles.NAME.num_gpus"] == "0"
    assert frozen["search searcher.name"] == '"random"'


def test_each_break_is_told_by_name() -> None:
    frozen = {"config training.lr": "0.0005", "raygan bench --repeats": "5", "config seed": "0"}
    found = {"config training.rate": "0.0005", "raygan bench --repeats": "6", "config seed": "0"}
    assert snapshot.broken(frozen, found) == [
        "config training.lr is gone",
        "raygan bench --repeats has the default 6, and had 5",
    ]
