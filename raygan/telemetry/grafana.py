"""A Grafana dashboard of a run's metrics. Import it where Grafana has a Prometheus that scrapes Ray's nodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from raygan.scores import names, single
from raygan.telemetry.definitions import BY_NAME

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
RUN = '{run=~"$run"}'
WINDOW = "[$__rate_interval]"
COLUMNS, WIDTH, HEIGHT = 2, 12, 8


@dataclass(frozen=True)
class Panel:
    """One panel: a title, a unit of Grafana's, and queries with their legends."""

    title: str
    unit: str
    queries: tuple[tuple[str, str], ...]


def _value(name: str, condition: str = "") -> str:
    return BY_NAME[name].exported + RUN.replace("}", f"{condition}}}")


def _rate(name: str, by: str) -> str:
    return f"sum by ({by}) (rate({_value(name)}{WINDOW}))"


def _quantile(share: float) -> str:
    buckets = f"rate({BY_NAME['raygan_step_seconds'].exported}_bucket{RUN}{WINDOW})"
    return f"histogram_quantile({share}, sum by (le) ({buckets}))"


def _scores(shares: bool) -> str:
    chosen = names(score for score in single() if score.is_share == shares)
    return _value("raygan_score", f',score=~"{"|".join(chosen)}"')


PANELS = (
    Panel("Losses", "none", ((_value("raygan_loss"), "{{network}}"),)),
    Panel("Scores, shares of images", "percentunit", ((_scores(shares=True), "{{domain}} {{score}}"),)),
    Panel("Other scores", "none", ((_scores(shares=False), "{{domain}} {{score}}"),)),
    Panel(
        "Clusters",
        "none",
        (
            (_value("raygan_clusters"), "clusters"),
            (_value("raygan_cluster_agreement"), "agreement with domains"),
        ),
    ),
    Panel("Cluster sizes", "none", ((_value("raygan_cluster_size"), "cluster {{cluster}}"),)),
    Panel("Rounds", "none", ((_value("raygan_round"), "{{run}}"),)),
    Panel("Images a second", "none", ((_rate("raygan_images", "run"), "{{run}}"),)),
    Panel("Steps a second", "none", ((_rate("raygan_steps", "run"), "{{run}}"),)),
    Panel("Step time", "s", ((_quantile(0.5), "median"), (_quantile(0.95), "95%"))),
    Panel("Round time", "s", ((_value("raygan_round_seconds"), "{{part}}"),)),
    Panel("Work by phase", "none", ((_rate("raygan_phase_seconds", "role, phase"), "{{role}}: {{phase}}"),)),
    Panel(
        "Where actors' time goes",
        "none",
        ((_rate("raygan_actor_seconds", "actor, state"), "{{actor}}: {{state}}"),),
    ),
    Panel("Bytes a second", "Bps", ((_rate("raygan_bytes", "link, direction"), "{{link}} {{direction}}"),)),
    Panel("Bytes by kind", "Bps", ((_rate("raygan_record_bytes", "link, kind"), "{{link}}: {{kind}}"),)),
    Panel("Memory of actors", "bytes", ((_value("raygan_memory_bytes"), "{{actor}}"),)),
    Panel("Steps sat out, late or lost", "none", ((_rate("raygan_absent_steps", "actor"), "{{actor}}"),)),
    Panel(
        "Lost actors and faults",
        "none",
        ((_value("raygan_lost"), "{{actor}} lost"), (_value("raygan_faults"), "faults")),
    ),
)


def dashboard() -> dict[str, Any]:
    """The dashboard, in Grafana's form."""
    return {
        "title": "raygan",
        "uid": "raygan",
        "tags": ["raygan", "ray"],
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [_source(), _runs()]},
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(number, COLUMNS)
    targets = [
        {"refId": chr(ord("A") + n), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
        for n, (expr, legend) in enumerate(panel.queries)
    ]
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": SOURCE,
        "gridPos": {"x": WIDTH * column, "y": HEIGHT * row, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": targets,
    }


def _source() -> dict[str, Any]:
    return {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}


def _runs() -> dict[str, Any]:
    query = f"label_values({BY_NAME['raygan_steps'].exported}, run)"
    return {
        "name": "run",
        "type": "query",
        "datasource": SOURCE,
        "query": query,
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "label": "run",
    }
