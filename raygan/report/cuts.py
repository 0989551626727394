"""The cuts of each profile, the predicted iteration, and its timeline."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from raygan.cuts import Plan
from raygan.cuts.timeline import ACTIVITIES, passes_in_order, slowest_of_profiles
from raygan.errors import InputError
from raygan.markup import Table
from raygan.nn.network import build_networks
from raygan.report.record import Record
from raygan.report.words import duration, percent
from raygan.split.plan import kept_cuts
from raygan.split.planning import choose_cuts, measure

Segment = tuple[str, float, float]
"""Activity, beginning and end in seconds."""


def planned_cuts(record: Record) -> dict[str, Any] | None:
    """None: the networks are whole, or `cuts.json` is missing."""
    cuts = record.cuts
    if not cuts:
        return None
    counts = Counter(
        (client["device"], _cut(client["generator"]), _cut(client["discriminator"])) for client in cuts["clients"]
    )
    rows = [(device, count, *chosen) for (device, *chosen), count in counts.items()]
    above = f"at most {percent(cuts.get('gap') or 0, 1)} above the optimum"
    proof = "proven optimal" if cuts.get("optimal") else above
    predicted = f"Predicted: {duration(cuts['latency_s'])} an iteration ({cuts['solver']}, {proof})."
    parts = ", ".join(f"{name.replace('_', ' ')} {duration(s)}" for name, s in cuts["parts"].items())
    plan = _plan(record)
    return {
        "words": f"{predicted} Of it: {parts}. Devices as modelled, not as measured here.",
        "table": Table(("device", "clients", "generator (h, t)", "discriminator (h, t)"), rows),
        "timeline": None if plan is None else timeline(plan),
    }


def _cut(cut: list[int]) -> str:
    return f"({cut[0]}, {cut[1]})"


def _plan(record: Record) -> Plan | None:
    """The run's own plan; None where its data, networks or cuts are no longer at hand."""
    config, cuts = record.config, record.cuts or {}
    try:
        spec = record.run.spec
        costs = measure(config, build_networks(spec, config.model.blocks, config.seed), spec)
        plan = choose_cuts(config, costs, kept_cuts({"cuts": cuts}))
    except InputError:
        return None
    return replace(plan, **{name: cuts[name] for name in ("solver", "optimal", "lower_bound_s")})


def timeline(plan: Plan) -> dict[str, Any]:
    """One iteration, device by device: the passes and, in each row, what is done when, in percent of the iteration."""
    total_s = plan.latency_s or 1.0

    def place(from_s: float, to_s: float) -> str:
        return f"left:{100 * from_s / total_s:.2f}%;width:{100 * (to_s - from_s) / total_s:.2f}%"

    def row(words: str, segments: Iterator[Segment]) -> dict[str, Any]:
        return {"words": words, "segments": [{"activity": one, "place": place(*span)} for one, *span in segments]}

    counts = Counter(device.name for device in plan.problem.clients)
    rows = []
    for client in slowest_of_profiles(plan):
        name, (generator, discriminator) = plan.problem.clients[client].name, plan.cuts[client]
        words = f"{name} ({counts[name]}), G cut {generator}, D cut {discriminator}"
        rows.append(row(words, _client_segments(plan, client)))
    rows.append(row("server", _server_segments(plan)))
    return {
        "legend": {name: label for name, (_, label) in ACTIVITIES.items() if name != "wait"},
        "passes": [
            {"label": label, "place": place(start_s, start_s + phase.pass_s)}
            for label, start_s, phase in passes_in_order(plan.breakdown)
        ],
        "rows": rows,
        "total": duration(plan.latency_s),
        "half": duration(plan.latency_s / 2),
    }


def _client_segments(plan: Plan, client: int) -> Iterator[Segment]:
    for _, start_s, phase in passes_in_order(plan.breakdown):
        for activity, from_s, to_s in phase.clients[client]:
            yield activity, start_s + from_s, start_s + to_s


def _server_segments(plan: Plan) -> Iterator[Segment]:
    for _, start_s, phase in passes_in_order(plan.breakdown):
        for block in phase.blocks:
            yield "body", start_s + block.start_s, start_s + block.end_s
