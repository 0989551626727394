"""`raygan cuts`: where each device's networks are cut, how long an iteration takes, and how good that is."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from raygan.config import Config
from raygan.cuts import Baseline, Plan, Study, draw_timeline
from raygan.errors import InputError
from raygan.run.sites import surveyor
from raygan.split.planning import study_config

WIDTH = 100
NAMES = {
    "all_server": "all extra blocks on the server",
    "all_client": "all extra blocks on the clients",
    "uniform": "one cut for everybody",
    "ga": "genetic algorithm",
    "exact": "exact",
    "fixed": "fixed",
}


def show_study(config: Config, out: Path) -> None:
    """Plans, prints what there is to know of the plan, and draws an iteration.

    Raises:
        InputError: a configuration without valid cuts, or a picture that cannot be written.
    """
    _check_picture(out)
    study = _study(config)
    console = Console(highlight=False)
    console.width = max(console.width, WIDTH)
    for table in (profiles_table(study), phases_table(study), comparison_table(study)):
        console.print(table)
    for line in closing_lines(study):
        console.print(line, soft_wrap=True)
    console.print(f"wrote {_drawn(study.plan, out)}: one iteration as a timeline", soft_wrap=True)


def print_study(config: Config, out: Path | None) -> None:
    """`--json`: one JSON document on standard output; the picture only if it was asked for. Errors as above."""
    if out is not None:
        _check_picture(out)
    study = _study(config)
    document = {**study.to_json(), "timeline": str(_drawn(study.plan, out)) if out is not None else None}
    print(json.dumps(document, indent=2, allow_nan=False))


def _study(config: Config) -> Study:
    with surveyor(config) as (placed, survey):
        return study_config(placed, [domain.info for domain in survey(placed)])


def profiles_table(study: Study) -> Table:
    """The chosen cuts of every profile."""
    table = Table("profile", title=f"cuts (h, t) of {len(study.plan.cuts)} clients", title_justify="left")
    for name in ("clients", "G", "D", "busy s", "waits s"):
        table.add_column(name, justify="right")
    for row in study.profile_rows():
        seconds = (_seconds(row.busy_s), _seconds(row.wait_s))
        table.add_row(
            row.profile, str(row.num_clients), _cut(row.generator), _cut(row.discriminator), *seconds
        )
    return table


def phases_table(study: Study) -> Table:
    """The latency with its parts, and who decides each."""
    title = f"one iteration: {_seconds(study.plan.latency_s)} s predicted"
    table = Table("phase", title=title, title_justify="left")
    for name in ("passes", "seconds", "server busy s"):
        table.add_column(name, justify="right")
    table.add_column("decided by")
    for phase in study.plan.breakdown.phases:
        name, slowest = phase.name.replace("_", " "), study.client_name(phase.slowest)
        seconds, busy = _seconds(phase.seconds), _seconds(phase.server_busy_s)
        table.add_row(name, str(phase.repeats), seconds, busy, slowest)
    return table


def comparison_table(study: Study) -> Table:
    """What other choices would cost."""
    table = Table("choice", title="compared", title_justify="left")
    for name in ("iteration s", "times the plan"):
        table.add_column(name, justify="right")
    table.add_column("")
    for number, row in enumerate(study.comparison_rows()):
        choice = f"{NAMES[row.name]}{' (the plan)' if number == 0 else ''}"
        table.add_row(choice, _seconds(row.latency_s), f"{row.times_planned:.3f}", _note(row))
    return table


def closing_lines(study: Study) -> list[str]:
    """The slowest client, a run's step, and the proof."""
    return [
        f"slowest: {study.slowest} decides the longest phase",
        f"steps of a run follow each other every {_seconds(study.plan.overlapped_s)} s: "
        "nobody waits for the slowest client between passes",
        proof_line(study.plan),
    ]


def latency_line(plan: Plan) -> str:
    """The predicted latency and its proof in one line."""
    return f"predicted latency of one iteration: {_seconds(plan.latency_s)} s; {proof_line(plan)}"


def proof_line(plan: Plan) -> str:
    """How good the plan is, for certain."""
    bound = f"no plan is faster than {_seconds(plan.lower_bound_s)} s"
    verdict = "this is the optimum" if plan.optimal else f"this is at most {plan.gap:.2%} above the optimum"
    return f"proof ({plan.solver}, {plan.seconds:.2f} s): {bound}, {verdict}"


def _note(row: Baseline) -> str:
    notes = [f"G {_cut(row.cuts[0])} D {_cut(row.cuts[1])}"] if row.cuts else []
    return ", ".join([*notes, *([] if row.allowed else ["not every device has the memory"])])


def _cut(cut: tuple[int, int]) -> str:
    return f"{cut[0]}, {cut[1]}"


def _seconds(seconds: float) -> str:
    return f"{seconds:.4g}"


def _check_picture(out: Path) -> None:
    """Refuses what the timeline could not be written to, before planning."""
    if out.suffix.lower() != ".png":
        raise InputError("--out", f"{str(out)!r} is not a PNG", "give a file name that ends in .png")
    if not out.parent.is_dir():
        raise InputError("--out", f"no folder {str(out.parent)!r}", "make it, or choose another --out")


def _drawn(plan: Plan, out: Path) -> Path:
    try:
        return draw_timeline(plan, out)
    except OSError as error:
        raise InputError(
            "--out", f"{str(out)!r} cannot be written ({error.strerror})", "choose another --out"
        ) from None
