"""`raygan cuts`: where each device's networks are cut, how long an iteration takes, and how good that is."""

from __future__ import annotations

import json
from pathlib import Path

from raygan.cli.leakage import show_leakage
from raygan.cli.tables import FittingTable, make_console, rows_table
from raygan.config import Config
from raygan.cuts import Baseline, Plan, Study, draw_timeline
from raygan.cuts.leakage import Leakage
from raygan.data import with_common_classes
from raygan.data.admission import blaming_sites, least_heads
from raygan.errors import InputError
from raygan.run.plan import surveyor
from raygan.split.planning import study_config

MEGA = 1e6
NAMES = {
    "all_server": "all extra blocks on the server",
    "all_client": "all extra blocks on the clients",
    "uniform": "one cut for everybody",
    "ga": "genetic algorithm",
    "unbounded": "without cuts.max_leakage",
}


def show_study(config: Config, out: Path | None, as_json: bool, leakage: Leakage | None = None) -> None:
    """Plans, prints what there is to know of the plan, and draws an iteration.

    Args:
        out: the picture; None: `cuts.png` here, or with `as_json` none.
        as_json: one JSON document on standard output, nothing else.
        leakage: how much each cut tells, which is then printed and drawn in place of the iteration; None: nobody asks.

    Raises:
        InputError: a configuration without valid cuts, or a picture that cannot be written.
    """
    out = out if out or as_json else Path("cuts.png")
    if out is not None:
        _check_picture(out)
    with surveyor(config) as (placed, survey):
        surveys = with_common_classes(survey(placed))
        infos, bounds = [domain.info for domain in surveys], [domain.bound for domain in surveys]
        with blaming_sites(bounds):
            study = study_config(placed, infos, leakage, least_heads(placed, bounds))
    if leakage is not None:
        show_leakage(study, leakage, out, as_json)
        return
    if as_json:
        drawn = None if out is None else str(_drawn(study.plan, out))
        print(json.dumps({**study.to_json(), "timeline": drawn}, indent=2, allow_nan=False))
        return
    console = make_console()
    console.print(_profiles_table(study), _phases_table(study), _comparison_table(study))
    for line in (
        f"slowest: {study.slowest} decides the longest phase",
        f"steps of a run follow each other every {_seconds(study.plan.overlapped_s)} s: "
        "nobody waits for the slowest client between passes",
        _bytes_line(study.plan),
        _proof_line(study.plan),
        f"wrote {_drawn(study.plan, out or Path())}: one iteration as a timeline",
    ):
        console.print(line, soft_wrap=True)


def _profiles_table(study: Study) -> FittingTable:
    """The chosen cuts of every profile."""
    rows = [
        {
            "profile": row.profile,
            "clients": str(row.num_clients),
            "G": _cut(row.generator),
            "D": _cut(row.discriminator),
            "busy s": _seconds(row.busy_s),
            "waits s": _seconds(row.wait_s),
            "MB up, down": f"{row.up_bytes / MEGA:.4g}",
        }
        for row in study.profile_rows()
    ]
    return rows_table(f"cuts (h, t) of {len(study.plan.cuts)} clients", rows)


def _phases_table(study: Study) -> FittingTable:
    """The latency with its parts, and who decides each."""
    rows = [
        {
            "phase": phase.name.replace("_", " "),
            "decided by": study.client_name(phase.slowest),
            "passes": str(phase.repeats),
            "seconds": _seconds(phase.seconds),
            "server busy s": _seconds(phase.server_busy_s),
        }
        for phase in study.plan.breakdown.phases
    ]
    return rows_table(f"one iteration: {_seconds(study.plan.latency_s)} s predicted", rows, words=2)


def _comparison_table(study: Study) -> FittingTable:
    """What other choices would cost."""
    rows = [
        {
            "choice": NAMES.get(row.name, row.name) + ("" if number else " (the plan)"),
            "its cuts": _note(row),
            "iteration s": _seconds(row.latency_s),
            "times the plan": f"{row.times_planned:.3f}",
            "MB in all": f"{row.bytes / MEGA:.4g}",
        }
        for number, row in enumerate(study.comparison_rows())
    ]
    return rows_table("compared", rows, words=2)


def latency_line(plan: Plan) -> str:
    """The predicted latency and its proof in one line."""
    return f"predicted latency of one iteration: {_seconds(plan.latency_s)} s; {_proof_line(plan)}"


def _proof_line(plan: Plan) -> str:
    bounds = {
        "latency": f"no plan is faster than {_seconds(plan.lower_bound_s)} s",
        "bytes": f"no plan that moves {plan.least_bytes / MEGA:.4g} MB is faster than {_seconds(plan.lower_bound_s)} s",
        "weighted": f"no plan has less than {_seconds(plan.lower_bound_s)} s with its bytes, this one "
        f"{_seconds(plan.value_s)} s",
    }
    bound = bounds[plan.objective]
    verdict = "this is the optimum" if plan.optimal else f"this is at most {plan.gap:.2%} above the optimum"
    return f"proof ({plan.solver}, {plan.seconds:.2f} s): {bound}, {verdict}"


def _bytes_line(plan: Plan) -> str:
    fewest = "the fewest" if plan.bytes <= plan.least_bytes else f"the fewest are {plan.least_bytes / MEGA:.4g} MB"
    moved = f"{plan.bytes / MEGA:.4g} MB of activations and gradients an iteration"
    return f"bytes: {moved}, half of them up, half down; {fewest}"


def _note(row: Baseline) -> str:
    cuts = [f"G {_cut(row.cuts[0])} D {_cut(row.cuts[1])}"] if row.cuts else []
    if row.name == "unbounded":
        return ""
    return ", ".join(cuts if row.allowed else [*cuts, "not every device may have them"])


def _cut(cut: tuple[int, int]) -> str:
    return ", ".join(map(str, cut))


def _seconds(seconds: float) -> str:
    return f"{seconds:.4g}"


def _check_picture(out: Path) -> None:
    """Refuses what the timeline could not be written to, before planning."""
    if out.suffix.lower() != ".png":
        raise InputError("--out", f"{str(out)!r} is not a PNG", "give a file name that ends in .png")
    if not out.parent.is_dir():
        raise InputError("--out", f"no folder {str(out.parent)!r}", "make it, or choose another --out")
    if out.is_dir():
        raise InputError("--out", f"{str(out)!r} is a folder", "choose another --out")


def _drawn(plan: Plan, out: Path) -> Path:
    try:
        return draw_timeline(plan, out)
    except OSError as error:
        found = f"{str(out)!r} cannot be written ({error.strerror})"
        raise InputError("--out", found, "choose another --out") from None
