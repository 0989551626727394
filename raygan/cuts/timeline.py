"""One iteration as a picture: who computes, sends and waits when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from raygan.cuts.latency import phase_name
from raygan.cuts.planner import Plan
from raygan.cuts.schedule import Breakdown, Phase
from raygan.step import CROSSINGS
from raygan.storage import png_of, replace_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_ROWS = 12
ACTIVITIES = {
    "head": ("#2f6db5", "head (client computes)"),
    "up_link": ("#9cc5ea", "up-link"),
    "wait": ("#eceef1", "waiting"),
    "body": ("#e2a33b", "body (server computes)"),
    "down_link": ("#b5dfc3", "down-link"),
    "tail": ("#2f9460", "tail (client computes)"),
}
"""Colour and label of each."""
PASS_LABELS = {
    ("generate", "forward"): ("G forward",),
    ("discriminate", "forward"): ("D fakes", "D reals"),
    ("discriminate", "backward"): ("D fakes back", "D reals back"),
    ("adversarial", "forward"): ("D for G",),
    ("adversarial", "backward"): ("D for G back",),
    ("generate", "backward"): ("G backward",),
}
"""One for each minibatch of a client that travels in the pass."""


def draw_timeline(plan: Plan, path: str | Path) -> Path:
    """Draw one iteration as a PNG: a row for the slowest client of each profile, and one for the server.

    Profiles beyond the twelve slowest are left out. Returns the path.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # slow to import, needed for the picture only
    from matplotlib.figure import Figure

    rows = slowest_of_profiles(plan)
    figure = Figure(figsize=(13, 1.9 + 0.42 * (len(rows) + 1)), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    _draw_rows(axes, plan.breakdown, rows)
    _draw_phases(axes, plan.breakdown, len(rows))
    _label(figure, axes, plan, rows)
    replace_file(Path(path), png_of(figure))
    return Path(path)


def slowest_of_profiles(plan: Plan) -> list[int]:
    """The client of each profile that is busy longest; at most twelve, in order of appearance."""
    slowest: dict[str, tuple[float, int]] = {}
    for client, device in enumerate(plan.problem.clients):
        busy_s = plan.breakdown.busy_s(client)
        if busy_s > slowest.get(device.name, (-1.0, 0))[0]:
            slowest[device.name] = (busy_s, client)
    kept = sorted(slowest.values(), reverse=True)[:MAX_ROWS]
    return [client for _, client in slowest.values() if client in {member for _, member in kept}]


def passes_in_order(breakdown: Breakdown) -> Iterator[tuple[str, float, Phase]]:
    """(label, start in seconds, phase) of each pass of an iteration."""
    by_name = {phase.name: phase for phase in breakdown.phases}
    start_s = 0.0
    for crossing in CROSSINGS:
        phase = by_name[phase_name(crossing.way.network, crossing.direction)]
        for label in PASS_LABELS[crossing.pass_name, crossing.direction]:
            yield label, start_s, phase
            start_s += phase.pass_s


def _draw_rows(axes: Axes, breakdown: Breakdown, rows: list[int]) -> None:
    for _, start_s, phase in passes_in_order(breakdown):
        for row, client in enumerate(rows):
            segments = phase.clients[client]
            for activity, from_s, to_s in (*segments, ("wait", segments[-1][2], phase.pass_s)):
                bar = [(start_s + from_s, to_s - from_s)]
                strength = 0.45 if activity == "body" else 1.0  # the server's row shows it at full strength
                axes.broken_barh(bar, (row - 0.36, 0.72), facecolor=ACTIVITIES[activity][0], alpha=strength)
        busy = [(start_s + block.start_s, block.end_s - block.start_s) for block in phase.blocks]
        server_row = len(rows)
        axes.broken_barh([(start_s, phase.pass_s)], (server_row - 0.36, 0.72), facecolor=ACTIVITIES["wait"][0])
        axes.broken_barh(
            busy, (server_row - 0.36, 0.72), facecolor=ACTIVITIES["body"][0], edgecolor="white", linewidth=0.5
        )


def _draw_phases(axes: Axes, breakdown: Breakdown, num_rows: int) -> None:
    """A line where a pass ends, and the names of those wide enough to carry one."""
    total_s = breakdown.latency_s
    for label, start_s, phase in passes_in_order(breakdown):
        axes.axvline(start_s, color="#55606e", linewidth=0.8)
        if phase.pass_s < 0.03 * total_s:
            continue
        text = label if phase.pass_s > 0.09 * total_s else label.replace(" ", "\n", 1)
        axes.text(start_s + phase.pass_s / 2, -0.6, text, ha="center", va="bottom", fontsize=8, color="#333b45")
    axes.set_xlim(0, total_s or 1.0)
    axes.set_ylim(num_rows + 0.6, -0.6)


def _label(figure: Figure, axes: Axes, plan: Plan, rows: list[int]) -> None:
    from matplotlib.patches import Patch

    counts = Counter(device.name for device in plan.problem.clients)
    names = [plan.problem.clients[client].name for client in rows]
    labels = [
        f"{name} ({counts[name]})   G {h_g},{t_g}   D {h_d},{t_d}"
        for name, ((h_g, t_g), (h_d, t_d)) in zip(names, (plan.cuts[client] for client in rows), strict=True)
    ]
    axes.set_yticks(range(len(rows) + 1), [*labels, "server"], fontsize=9)
    axes.set_xlabel("seconds of one iteration")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    proof = "proven optimum" if plan.optimal else f"at most {plan.gap:.1%} above the optimum"
    axes.set_title(
        f"One iteration: {plan.latency_s:.3g} s for {len(plan.cuts)} clients ({plan.solver}, {proof})",
        loc="left",
        fontsize=12,
        pad=30,
    )
    handles = [Patch(facecolor=colour, label=label) for colour, label in ACTIVITIES.values()]
    figure.legend(handles=handles, ncols=len(handles), fontsize=8, frameon=False, loc="outside lower center")
