"""Sections of the page: clusters and weights, time and bytes, cuts, faults, configuration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from raygan.report.headline import duration, phase_name, phase_totals, size
from raygan.report.html import Html, section, table, tag
from raygan.report.record import Record, spread

MAX_CLIENTS, MAX_ROUNDS = 200, 24
PALETTE = ("#2f6db5", "#c8702a", "#2f9460", "#b5483e", "#7a5fb0", "#8a6d4d", "#b8558f", "#5d6a78")


def clusters_section(record: Record) -> Html:
    """A row a client, a column a round: the colour is the cluster, the number the client's weight in it."""
    if not record.clusters:
        return section("clusters", "Clusters and weights", tag("p", "No round has ended."))
    rounds = spread(record.clusters, MAX_ROUNDS)
    clients = list(record.domain_of)[:MAX_CLIENTS]
    head = ["client", "domain, device", *(entry["round"] for entry in rounds), "KLD (nats)"]
    rows = [_member_row(record, client, rounds) for client in clients]
    seen = sorted({e["cluster"] for entry in rounds for e in entry["clients"].values()})
    legend = [[_key(number), f"cluster {number}"] for number in seen]
    left_out = len(record.domain_of) - len(clients)
    return section(
        "clusters",
        "Clusters and weights",
        tag(
            "p",
            "Colour: cluster. Number: the client's weight in its cluster, percent.",
            legend,
            class_="soft",
        ),
        _members_table(head, rows),
        tag("p", f"{left_out} more clients are in clusters.jsonl.") if left_out else None,
        tag("p", _spread_of_weights(record), class_="soft"),
    )


def _members_table(head: list[Any], rows: list[list[Html]]) -> Html:
    body = tag("tbody", [tag("tr", row) for row in rows])
    top = tag("thead", tag("tr", [tag("th", cell) for cell in head]))
    return tag("div", tag("table", top, body, class_="members"), class_="scroll")


def _member_row(record: Record, client: int, rounds: list[dict[str, Any]]) -> list[Html]:
    where = f"{record.domain_of[client]}, {record.device_of[client]}"
    last = rounds[-1]["clients"].get(str(client)) or {}
    kld = last.get("kld")
    return [
        tag("th", client, scope="row"),
        tag("td", where, class_="note"),
        *(_member_cell(entry["clients"].get(str(client))) for entry in rounds),
        tag("td", "-" if kld is None else f"{kld:.4f}", class_="note"),
    ]


def _member_cell(entry: dict[str, Any] | None) -> Html:
    if entry is None:
        return tag("td", "-", class_="none", title="took no part")
    text = f"cluster {entry['cluster']}, weight {100 * entry['weight']:.2f}%"
    colour = PALETTE[entry["cluster"] % len(PALETTE)]
    return tag("td", f"{100 * entry['weight']:.1f}", style=f"background:{colour}", title=text)


def _key(cluster: int) -> Html:
    return tag("span", class_="key", style=f"background:{PALETTE[cluster % len(PALETTE)]}")


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
    busy = sum(phases.values()) or 1.0
    longest = max(phases.values(), default=1.0)
    bars = [
        (
            tag("span", phase_name(name)),
            tag("i", style=f"width:{100 * seconds / longest:.1f}%"),
            tag("span", f"{duration(seconds)}, {100 * seconds / busy:.0f}%"),
        )
        for name, seconds in sorted(phases.items(), key=lambda pair: -pair[1])
    ]
    rows = [
        (
            entry["round"],
            f"{entry['train_seconds']:.1f}",
            f"{entry['end_seconds']:.2f}",
            "-" if entry.get("evaluation_seconds") is None else f"{entry['evaluation_seconds']:.1f}",
            f"{entry['images'] / entry['train_seconds']:,.0f}" if entry["train_seconds"] else "-",
            size(entry["bytes_up"]),
            size(entry["bytes_down"]),
        )
        for entry in spread(record.rounds, MAX_ROUNDS)
    ]
    head = (
        "round",
        "steps, s",
        "cluster + weigh + aggregate, s",
        "scores (beside), s",
        "images/s",
        "clients to body",
        "body to clients",
    )
    return section(
        "time",
        "Time and bytes",
        tag("h3", "Seconds of work by phase, summed over the actors"),
        tag("div", bars, class_="bars"),
        tag("h3", "Rounds"),
        table(head, rows),
        *_links(record),
        tag("div", charts, class_="charts") if charts else None,
    )


def _links(record: Record) -> list[Html]:
    """What crossed, by link and kind, and by client."""
    totals: dict[tuple[str, str], tuple[int, int]] = {}
    for kinds in (entry.get("links") or {} for entry in record.rounds):
        for link, counts in kinds.items():
            for kind, count in counts.items():
                records, num_bytes = totals.get((link, kind), (0, 0))
                totals[link, kind] = (records + count["records"], num_bytes + count["bytes"])
    if not totals:
        return []
    rounds = sum(bool(entry.get("links")) for entry in record.rounds)
    rows = [
        (link.replace("->", "\u2192"), kind, f"{records:,}", size(num_bytes), size(num_bytes / rounds))
        for (link, kind), (records, num_bytes) in totals.items()
    ]
    text = "Counted by the actors where a record ends (activations and gradients: at the client). Nothing else crosses."
    return [
        tag("h3", "Bytes per link"),
        table(("link", "what", "records", "bytes", "bytes a round"), rows),
        tag("p", text, class_="soft"),
        *_client_links(record),
    ]


def _client_links(record: Record) -> list[Html]:
    totals: dict[str, list[int]] = {}
    for client, ways in (
        pair for entry in record.rounds for pair in (entry.get("client_bytes") or {}).items()
    ):
        so_far = totals.setdefault(client, [0, 0])
        so_far[0] += ways["up"]
        so_far[1] += ways["down"]
    rows = [
        (client, record.device_of.get(int(client), "-"), size(up), size(down))
        for client, (up, down) in list(totals.items())[:MAX_CLIENTS]
    ]
    head = ("client", "device", "client \u2192 body", "body \u2192 client")
    return [tag("h3", "Activations and gradients by client"), table(head, rows)] if rows else []


def cuts_section(record: Record, timeline: Html | None) -> Html:
    """The cuts of each profile, the predicted iteration, and its timeline."""
    cuts = record.cuts
    if not cuts:
        return section("cuts", "Cuts", tag("p", "cuts.json is missing."))
    counts: dict[tuple[str, str, str], int] = {}
    for client in cuts["clients"]:
        key = (client["device"], _cut(client["generator"]), _cut(client["discriminator"]))
        counts[key] = counts.get(key, 0) + 1
    rows = [
        (device, many, generator, discriminator)
        for (device, generator, discriminator), many in counts.items()
    ]
    proof = (
        "proven optimal"
        if cuts.get("optimal")
        else f"at most {100 * cuts.get('gap', 0):.1f}% above the optimum"
    )
    predicted = f"Predicted: {duration_ms(cuts['latency_s'])} an iteration ({cuts['solver']}, {proof})."
    parts = ", ".join(f"{name.replace('_', ' ')} {duration_ms(s)}" for name, s in cuts["parts"].items())
    return section(
        "cuts",
        "Cuts",
        tag("p", f"{predicted} Of it: {parts}. Devices as modelled, not as measured here."),
        table(("device", "clients", "generator (h, t)", "discriminator (h, t)"), rows),
        timeline or tag("p", "No timeline: the run's data is not where it was.", class_="soft"),
    )


def _cut(cut: list[int]) -> str:
    return ", ".join(map(str, cut))


def duration_ms(seconds: float) -> str:
    """Short times in milliseconds."""
    return f"{1000 * seconds:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


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
    return section(
        "configuration", "Configuration", tag("p", words, class_="soft") if words else None, tag("pre", text)
    )
