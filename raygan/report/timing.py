"""Where the seconds and the bytes went."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pandas as pd
from rich.filesize import decimal

from raygan.markup import Table
from raygan.report.record import MAX_CLIENTS, MAX_ROUNDS, Record, spread
from raygan.report.words import duration, durations, many, shares
from raygan.step import PHASES

FORMER_NAMES = {
    "judge": "discriminator_loss",
    "fool": "generator_loss",
    "body: fool forward": "body: adversarial forward",
    "body: fool backward": "body: adversarial backward",
}
"""Phases and passes of runs that older versions began, under today's names."""


def time_and_bytes(record: Record) -> dict[str, Any]:
    """`wall` clock, `bars` of phases, tables of rounds, of links, of clients."""
    return {
        "wall": _wall(record),
        "bars": _bars(record),
        "time_tables": [_rounds(record)] if record.rounds else [],
        "links": _links(record),
        "client_links": _client_links(record),
    }


def _wall(record: Record) -> dict[str, Any] | None:
    """The wall clock and its parts, which add up to it."""
    if not record.rounds:
        return None
    parts = {name: s for name, s in parts_of_wall_clock(record).items() if s > 0}
    seconds = list(parts.values())
    ended = "from the call to the end" if record.summary is not None else "so far"
    return {
        "total": duration(sum(seconds)),
        "words": f"by the clock, {ended}, for {many(len(record.rounds), 'round')}:",
        "parts": [
            {"name": name, "time": time, "share": share}
            for name, time, share in zip(parts, durations(seconds), shares(seconds), strict=True)
        ],
        "moved": decimal(sum(entry["bytes_up"] + entry["bytes_down"] for entry in record.rounds)),
    }


def parts_of_wall_clock(record: Record) -> dict[str, float]:
    """Seconds from the call to the summary; of a run that has not ended, of its rounds."""
    steps_s = sum(entry["train_seconds"] for entry in record.rounds)
    if all(entry.get("client_actors") for entry in record.rounds):
        works_s = sum(
            min(sum(entry["phase_seconds"].values()) / entry["client_actors"], entry["train_seconds"])
            for entry in record.rounds
        )
        steps = {
            "steps: a client's actor at work, on average": works_s,
            "steps: the same actor waiting for the others": steps_s - works_s,
        }
    else:  # of a run that an older version began
        steps = {"steps, with waiting for the slowest": steps_s}
    ends_s = sum(entry["end_seconds"] for entry in record.rounds)
    parts = {**steps, "ends of rounds: clustering, weighing, averaging": ends_s}
    if record.summary is not None:
        rest_s = max(0.0, record.summary["seconds"] - steps_s - ends_s)
        starts_s = record.summary.get("start_seconds") or 0.0
        parts = {"start: data, plan, actors": starts_s, **parts}
        parts["classifiers, checkpoints and scores that training waited for"] = rest_s
    return parts


def phase_totals(record: Record) -> dict[str, float]:
    """Seconds of work by phase, summed over rounds and actors, longest first; the body's have names that begin so."""
    totals: defaultdict[str, float] = defaultdict(float)
    for entry in record.rounds:
        body = {f"body: {name}": seconds for name, seconds in (entry.get("body_seconds") or {}).items()}
        for name, seconds in {**(entry.get("phase_seconds") or {}), **body}.items():
            totals[FORMER_NAMES.get(name, name)] += seconds
    return dict(sorted(((k, s) for k, s in totals.items() if s > 0), key=lambda pair: -pair[1]))


def phase_name(name: str) -> str:
    """The phase in words."""
    return f"clients: {PHASES[name].words}" if name in PHASES else name.replace("_", " ")


def _bars(record: Record) -> list[dict[str, str]]:
    phases = phase_totals(record)
    longest = max(phases.values(), default=1.0)
    return [
        {"name": phase_name(name), "percent": f"{100 * s / longest:.1f}", "words": f"{duration(s)}, {share}"}
        for (name, s), share in zip(phases.items(), shares(list(phases.values())), strict=True)
    ]


def _rounds(record: Record) -> Table:
    rows = [_round_row(line) for line in spread(record.rounds, MAX_ROUNDS)]
    return Table(list(rows[0]), [list(row.values()) for row in rows], title="Rounds")


def _round_row(line: dict[str, Any]) -> dict[str, object]:
    scored_s, train_s = line.get("evaluation_seconds"), line["train_seconds"]
    return {
        "round": line["round"],
        "steps": f"{train_s:.1f} s",
        "end of the round": f"{line['end_seconds']:.2f} s",
        "scores (beside)": "-" if scored_s is None else f"{scored_s:.1f} s",
        "images/s": f"{line['images'] / train_s:,.0f}" if train_s else "-",
        "clients \u2192 body": decimal(line["bytes_up"]),
        "body \u2192 clients": decimal(line["bytes_down"]),
    }


def _links(record: Record) -> Table | None:
    """What crossed, by link and kind."""
    rounds = [entry["links"] for entry in record.rounds if entry.get("links")]
    counts = [
        {"link": link.replace("->", "\u2192"), "kind": kind, **count}
        for links in rounds
        for link, kinds in links.items()
        for kind, count in kinds.items()
    ]
    if not counts:
        return None
    totals = pd.DataFrame(counts).groupby(["link", "kind"], sort=False)[["records", "bytes"]].sum()
    rows = [
        (link, kind, f"{records:,}", decimal(num_bytes), decimal(num_bytes // len(rounds)))
        for (link, kind), (records, num_bytes) in zip(totals.index, totals.to_numpy().tolist(), strict=True)
    ]
    return Table(("link", "what", "records", "bytes", "bytes a round"), rows, title="Bytes per link")


def _client_links(record: Record) -> Table | None:
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
    return Table(head, rows, title="Activations and gradients by client") if rows else None
