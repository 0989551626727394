"""Table, documentation and Grafana dashboard against each other."""

from __future__ import annotations

import json
import re
import sys

import pytest

from raygan.cli import main
from raygan.telemetry.definitions import METRICS
from raygan.telemetry.grafana import dashboard
from tests.pages import METRICS_PAGE, metrics_page

EXPORTED = {metric.exported: metric for metric in METRICS}


def expressions(document: dict) -> list[str]:
    return [target["expr"] for panel in document["panels"] for target in panel["targets"]]


def test_the_page_is_that_of_the_table() -> None:
    assert METRICS_PAGE.read_text(encoding="utf-8") == metrics_page(), "write it anew: python -m tests.pages"
    documented = re.findall(r"^\| `(ray_raygan_\w+)` \|", metrics_page(), flags=re.MULTILINE)
    assert documented == list(EXPORTED)


def test_names_and_tags_are_prometheus_names() -> None:
    assert len(EXPORTED) == len(METRICS)
    for metric in METRICS:
        for name in (metric.name, *metric.tags):
            assert re.fullmatch(r"[a-z][a-z0-9_]*", name)
        assert metric.meaning.endswith(".")


def test_every_panel_queries_metrics_that_exist_by_tags_that_they_have() -> None:
    for expression in expressions(dashboard()):
        known = {"run"}
        for name in re.findall(r"ray_raygan_\w+", expression):
            metric = EXPORTED[name.removesuffix("_bucket")]
            assert name.endswith("_bucket") == (metric.kind == "histogram")
            assert ("rate(" in expression) or metric.kind != "histogram"
            known |= set(metric.tags)
        used = re.findall(r'(\w+)(?:=~|!=|=)"', expression)
        for by in re.findall(r"sum by \(([^)]*)\)", expression):
            used += [tag for tag in by.split(", ") if tag != "le"]
        assert set(used) <= known, expression


ONCE_A_ROUND = (
    "raygan_record_bytes", "raygan_absent_steps", "raygan_actor_seconds", "raygan_lost", "raygan_faults",
)  # fmt: skip


def test_a_counter_that_moves_once_a_round_has_no_rate() -> None:
    for expression in expressions(dashboard()):
        if any(name in expression for name in ONCE_A_ROUND) or 'role="body"' in expression:
            assert "rate(" not in expression


def test_what_may_never_have_happened_is_shown_as_none() -> None:
    for name in ("raygan_absent_steps", "raygan_lost", "raygan_faults"):
        (expression,) = [found for found in expressions(dashboard()) if name in found]
        assert expression.endswith("or on () vector(0)")


def test_every_panel_has_a_unit_but_those_that_count() -> None:
    units = {panel["title"]: panel["fieldConfig"]["defaults"]["unit"] for panel in dashboard()["panels"]}
    without = {title for title, unit in units.items() if unit == "none"}
    assert without == {
        "Other scores", "Clusters", "Cluster sizes", "Rounds", "Lost actors and faults so far",
    }  # fmt: skip


def test_every_metric_is_in_a_panel() -> None:
    shown = " ".join(expressions(dashboard()))
    assert [name for name in EXPORTED if name not in shown] == []


def test_panels_do_not_overlap() -> None:
    places = [tuple(panel["gridPos"].values()) for panel in dashboard()["panels"]]
    assert len(set(places)) == len(places)
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(places)


def test_the_command_writes_json_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["raygan", "dashboard", "--grafana"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 0
    assert json.loads(capsys.readouterr().out) == dashboard()


def test_the_command_needs_to_know_what(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["raygan", "dashboard"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert "give --grafana" in capsys.readouterr().err
