"""Sections of the page: clusters and weights, time and bytes, cuts, faults, configuration."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from rich.filesize import decimal

from raygan.cuts import draw_timeline
from raygan.errors import InputError
from raygan.nn.network import build_networks
from raygan.report.headline import duration, no_clusters, phase_name, phase_totals
from raygan.report.html import Html, picture, section, table, tag
from raygan.report.record import Record, spread
from raygan.split.plan import kept_cuts
from raygan.split.planning import choose_cuts, measure

MAX_CLIENTS, MAX_ROUNDS = 200, 24
PALETTE = ("#2f6db5", "#a85a1c", "#257a4e", "#b5483e", "#7a5fb0", "#846746", "#a5447c", "#5d6a78")
"""Dark enough for white numbers."""


def clusters_section(record: Record) -> Html:
    """A row a client, a column a round: the colour is the cluster, the number the client's weight in it."""
    if not record.clusters:
        return section("clusters", "Clusters and weights", tag("p", no_clusters(record)))
    rounds = spread(record.clusters, MAX_ROUNDS)
    clients = list(record.domain_of)[:MAX_CLIENTS]
    head = ["client", "domain, device", *(entry["round"] for entry in rounds), "KLD (nats)"]
    rows = [_member_row(record, client, rounds) for client in clients]
    seen = sorted({e["cluster"] for entry in rounds for e in entry["clients"].values()})
    legend = [[tag("span", class_="key", style=_colour(n)), f"cluster {n}"] for n in seen]
    words = "Colour: cluster. Number: the client's weight in its cluster, percent."
    left_out = len(record.domain_of) - len(clients)
    return section(
        "clusters",
        "Clusters and weights",
        tag("p", words, legend, class_="soft"),
        table(head, rows, class_="members"),
        tag("p", f"{left_out} more clients are in clusters.jsonl.") if left_out else None,
        tag("p", _spread_of_weights(record), class_="soft"),
    )


def _member_row(record: Record, client: int, rounds: list[dict[str, Any]]) -> Html:
    entries = [entry["clients"].get(str(client)) for entry in rounds]
    kld = (entries[-1] or {}).get("kld")
    return tag(
        "tr",
        tag("th", client, scope="row"),
        tag("td", f"{record.domain_of[client]}, {record.device_of[client]}", class_="note"),
        [_member_cell(entry) for entry in entries],
        tag("td", "-" if kld is None else f"{kld:.4f}", class_="note"),
    )


def _member_cell(entry: dict[str, Any] | None) -> Html:
    if entry is None:
        return tag("td", "-", class_="none", title="took no part")
    text = f"cluster {entry['cluster']}, weight {100 * entry['weight']:.2f}%"
    return tag("td", f"{100 * entry['weight']:.1f}", style=_colour(entry["cluster"]), title=text)


def _colour(cluster: int) -> str:
    return f"background:{PALETTE[cluster % len(PALETTE)]}"


def _spread_of_weights(record: Record) -> str:
    last = record.clusters[-1]
    klds = [entry["kld"] for entry in last["clients"].values() if entry["kld"] is not None]
    weights = [entry["weight"] for entry in last["clients"].values()]
    if not klds:
        return ""
    return (
        f"After round {last['round']}, KLD runs from {min(klds):.4g} to {max(klds):.4g} nats and weights from "
        f"{100 * min(weights):.2f}% to {100 * max(weights):.2f}% (beta {record.config.clusters.beta:g})."
    )


def time_section(record: Record, charts: Sequence[Html]) -> Html:
    """Where the seconds and the bytes went."""
    phases = phase_totals(record)
    busy, longest = sum(phases.values()), max(phases.values(), default=1.0)
    bars = [
        (
            tag("span", phase_name(name)),
            tag("i", style=f"width:{100 * seconds / longest:.1f}%"),
            tag("span", f"{duration(seconds)}, {100 * seconds / busy:.0f}%"),
        )
        for name, seconds in phases.items()
    ]
    rows = [_round_row(line) for line in spread(record.rounds, MAX_ROUNDS)]
    return section(
        "time",
        "Time and bytes",
        tag("h3", "Seconds of work by phase, summed over the actors"),
        tag("div", bars, class_="bars"),
        [tag("h3", "Rounds"), table(rows[0], [list(row.values()) for row in rows])] if rows else None,
        _links(record),
        _client_links(record),
        tag("div", charts, class_="charts") if charts else None,
    )


def _round_row(line: dict[str, Any]) -> dict[str, object]:
    scored_s, train_s = line.get("evaluation_seconds"), line["train_seconds"]
    return {
        "round": line["round"],
        "steps, s": f"{train_s:.1f}",
        "end of the round, s": f"{line['end_seconds']:.2f}",
        "scores (beside), s": "-" if scored_s is None else f"{scored_s:.1f}",
        "images/s": f"{line['images'] / train_s:,.0f}" if train_s else "-",
        "clients to body": decimal(line["bytes_up"]),
        "body to clients": decimal(line["bytes_down"]),
    }


def _links(record: Record) -> list[Html]:
    """What crossed, by link and kind."""
    rounds = [entry["links"] for entry in record.rounds if entry.get("links")]
    counts = [
        {"link": link.replace("->", "\u2192"), "kind": kind, **count}
        for links in rounds
        for link, kinds in links.items()
        for kind, count in kinds.items()
    ]
    if not counts:
        return []
    totals = pd.DataFrame(counts).groupby(["link", "kind"], sort=False)[["records", "bytes"]].sum()
    rows = [
        (link, kind, f"{records:,}", decimal(num_bytes), decimal(num_bytes // len(rounds)))
        for (link, kind), (records, num_bytes) in zip(totals.index, totals.to_numpy().tolist(), strict=True)
    ]
    text = "Counted by the actors where a record ends (activations and gradients: at the client). Nothing else crosses."
    return [
        tag("h3", "Bytes per link"),
        table(("link", "what", "records", "bytes", "bytes a round"), rows),
        tag("p", text, class_="soft"),
    ]


def _client_links(record: Record) -> list[Html]:
    """Activations and gradients, by client."""
    up, down = Counter[str](), Counter[str]()
    for entry in record.rounds:
        for client, ways in (entry.get("client_bytes") or {}).items():
            up[client] += ways["up"]
            down[client] += ways["down"]
    rows = [
        (client, record.device_of.get(int(client), "-"), decimal(up[client]), decimal(down[client]))
        for client in list(up)[:MAX_CLIENTS]
    ]
    head = ("client", "device", "client \u2192 body", "body \u2192 client")
    return [tag("h3", "Activations and gradients by client"), table(head, rows)] if rows else []


def cuts_section(record: Record) -> Html:
    """The cuts of each profile, the predicted iteration, and its timeline."""
    cuts = record.cuts
    if not cuts:
        return section("cuts", "Cuts", tag("p", "The networks are whole, or cuts.json is missing."))
    counts = Counter(
        (client["device"], _cut(client["generator"]), _cut(client["discriminator"])) for client in cuts["clients"]
    )
    rows = [(device, count, *chosen) for (device, *chosen), count in counts.items()]
    above = f"at most {100 * cuts.get('gap', 0):.1f}% above the optimum"
    proof = "proven optimal" if cuts.get("optimal") else above
    predicted = f"Predicted: {duration(cuts['latency_s'])} an iteration ({cuts['solver']}, {proof})."
    parts = ", ".join(f"{name.replace('_', ' ')} {duration(s)}" for name, s in cuts["parts"].items())
    return section(
        "cuts",
        "Cuts",
        tag("p", f"{predicted} Of it: {parts}. Devices as modelled, not as measured here."),
        table(("device", "clients", "generator (h, t)", "discriminator (h, t)"), rows),
        _timeline(record) or tag("p", "No timeline: the run's data is not where it was.", class_="soft"),
    )


def _cut(cut: list[int]) -> str:
    return ", ".join(map(str, cut))


def _timeline(record: Record) -> Html | None:
    """The predicted iteration, drawn; None where the run's data, networks or cuts are no longer at hand."""
    config, cuts = record.config, record.cuts or {}
    try:
        spec = record.run.spec
        costs = measure(config, build_networks(spec, config.model.blocks, config.seed), spec)
        plan = choose_cuts(config, costs, kept_cuts({"cuts": cuts}))
    except InputError:
        return None
    made = {name: cuts[name] for name in ("solver", "optimal", "lower_bound_s")}
    with tempfile.TemporaryDirectory() as folder:
        drawn = draw_timeline(replace(plan, **made), Path(folder) / "timeline.png")
        return picture(drawn.read_bytes(), "one iteration, device by device", class_="wide")


def faults_section(record: Record) -> Html:
    """Who was late or lost, and what could not be scored."""
    rows = [(entry["round"], fault) for entry in record.rounds for fault in entry.get("faults", [])]
    if not rows:
        return section("faults", "Faults", tag("p", "None: nobody was late, nobody was lost."))
    return section("faults", f"Faults ({len(rows)})", table(("round", "what happened"), rows, class_="words"))


def configuration_section(record: Record) -> Html:
    """Everything that was set, and what it ran on."""
    text = yaml.safe_dump(record.config.model_dump(mode="json"), sort_keys=False, default_flow_style=None)
    versions = (record.summary or {}).get("versions", {})
    words = ", ".join(f"{name} {number}" for name, number in versions.items())
    return section("configuration", "Configuration", tag("p", words or None, class_="soft"), tag("pre", text))
