"""A Grafana dashboard of a run's metrics. Import it where Grafana has a Prometheus that scrapes Ray's nodes."""

from __future__ import annotations

from typing import Any

from raygan.scores import names, single
from raygan.telemetry.definitions import BY_NAME

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WINDOW = "[$__rate_interval]"
COLUMNS, WIDTH, HEIGHT = 2, 12, 8
Query = tuple[str, str]
"""A query, and the legend of its lines."""


def _value(name: str, legend: str, condition: str = "") -> Query:
    return f'{BY_NAME[name].exported}{{run=~"$run"{condition}}}', legend


def _rate(name: str, by: str, legend: str) -> Query:
    return f"sum by ({by}) (rate({_value(name, legend)[0]}{WINDOW}))", legend


def _mean(name: str, by: str, of: str, legend: str, condition: str = "") -> Query:
    """Of a counter that moves once a round or step: its mean over them. A rate would be a spike now and then, and would
    not have the first."""
    counted, steps = _value(name, legend, condition)[0], _value(of, legend)[0]
    return f"sum by (run, {by}) ({counted}) / on (run) group_left sum by (run) ({steps})", legend


def _share(name: str, by: str, of: str, legend: str) -> Query:
    counter = _value(name, legend)[0]
    whole = f"sum by (run, {of}) ({counter})"
    return f"sum by (run, {of}, {by}) ({counter}) / on (run, {of}) group_left {whole}", legend


def _or_zero(query: Query) -> Query:
    """Where the counter has not moved, and so is not there: 0."""
    return f"({query[0]}) or on () vector(0)", query[1]


def _step_quantile(share: float, legend: str) -> Query:
    buckets = f'rate({BY_NAME["raygan_step_seconds"].exported}_bucket{{run=~"$run"}}{WINDOW})'
    return f"histogram_quantile({share}, sum by (le) ({buckets}))", legend


def _scores(shares: bool) -> Query:
    chosen = "|".join(names(score for score in single() if score.is_share == shares))
    return _value("raygan_score", "{{domain}} {{score}}", f',score=~"{chosen}"')


PANELS: dict[str, tuple[str, tuple[Query, ...]]] = {
    "Losses": ("suffix: nats", (_value("raygan_loss", "{{network}}"),)),
    "Scores, shares of images": ("percentunit", (_scores(shares=True),)),
    "Other scores": ("none", (_scores(shares=False),)),
    "Clusters": (
        "none",
        (_value("raygan_clusters", "clusters"), _value("raygan_cluster_agreement", "agreement with domains")),
    ),
    "Cluster sizes": ("none", (_value("raygan_cluster_size", "cluster {{cluster}}"),)),
    "Privacy budget spent, epsilon": ("suffix: epsilon", (_value("raygan_epsilon", "client {{client}}"),)),
    "Rounds": ("none", (_value("raygan_round", "{{run}}"),)),
    "Images a second": ("suffix: images/s", (_rate("raygan_images", "run", "{{run}}"),)),
    "Steps a second": ("suffix: steps/s", (_rate("raygan_steps", "run", "{{run}}"),)),
    "Step time": ("s", (_step_quantile(0.5, "median"), _step_quantile(0.95, "95%"))),
    "Round time": ("s", (_value("raygan_round_seconds", "{{part}}"),)),
    "Work of clients in a step, by phase": (
        "s",
        (_mean("raygan_phase_seconds", "phase", "raygan_steps", "{{phase}}", ',role="client"'),),
    ),
    "Work of the body in a round, by phase": (
        "s",
        (_mean("raygan_phase_seconds", "phase", "raygan_rounds", "{{phase}}", ',role="body"'),),
    ),
    "Where actors' time goes": (
        "percentunit",
        (_share("raygan_actor_seconds", "state", "actor", "{{actor}}: {{state}}"),),
    ),
    "Bytes a second": ("Bps", (_rate("raygan_bytes", "link, direction", "{{link}} {{direction}}"),)),
    "Bytes of a round, by kind": (
        "decbytes",
        (_mean("raygan_record_bytes", "link, kind", "raygan_rounds", "{{link}}: {{kind}}"),),
    ),
    "Memory of actors": ("bytes", (_value("raygan_memory_bytes", "{{actor}}"),)),
    "Steps sat out in a round, late or lost": (
        "suffix: steps",
        (_or_zero(_mean("raygan_absent_steps", "actor", "raygan_rounds", "{{actor}}")),),
    ),
    "Lost actors and faults so far": (
        "none",
        (_or_zero(_value("raygan_lost", "{{actor}} lost")), _or_zero(_value("raygan_faults", "faults"))),
    ),
}
"""Title -> a unit of Grafana's, and the queries."""


def dashboard() -> dict[str, Any]:
    """The dashboard, in Grafana's form."""
    source = {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"}
    runs = {
        "name": "run",
        "type": "query",
        "datasource": SOURCE,
        "query": f"label_values({BY_NAME['raygan_steps'].exported}, run)",
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "label": "run",
    }
    return {
        "title": "raygan",
        "uid": "raygan",
        "tags": ["raygan", "ray"],
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {"list": [source, runs]},
        "panels": [_panel(number, title) for number, title in enumerate(PANELS)],
    }


def _panel(number: int, title: str) -> dict[str, Any]:
    unit, queries = PANELS[title]
    row, column = divmod(number, COLUMNS)
    targets = [
        {"refId": chr(ord("A") + n), "datasource": SOURCE, "expr": expr, "legendFormat": legend}
        for n, (expr, legend) in enumerate(queries)
    ]
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": title,
        "datasource": SOURCE,
        "gridPos": {"x": WIDTH * column, "y": HEIGHT * row, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit}, "overrides": []},
        "targets": targets,
    }
