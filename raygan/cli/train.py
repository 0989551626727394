"""`raygan train`: what a person sees of a run, and of a run to be."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml
from rich.filesize import decimal

from raygan.algorithms.huscf import HuscfGan
from raygan.api import check_out, fetched, resumed_plan, run_folder
from raygan.cli.cuts import latency_line
from raygan.cli.evaluate import scores_table
from raygan.cli.going_on import GOING_ON
from raygan.cli.progress import ProgressDisplay
from raygan.cli.screen import Screen
from raygan.cli.tables import FittingTable, make_console, rows_table
from raygan.config import Config
from raygan.data import domain_names
from raygan.errors import InputError
from raygan.report import resume, train
from raygan.run.events import Listener
from raygan.run.mirror import is_uri
from raygan.run.plan import Plan, planned
from raygan.run.stored import Run
from raygan.runtime.ray.cluster import check_cluster
from raygan.runtime.ray.demand import all_demands
from raygan.scores import fid_bias

ENDED = "{} has ended: nothing is left to do; --set training.rounds=N trains it longer"
MAX_CLASSES = 20
"""Names of classes in a table."""


def train_and_show(config: Config, out: str | None, in_process: bool, screen: Screen, also: Mapping[str, Any]) -> None:
    """Trains with a progress display, then prints scores and what was written.

    Args:
        also: more arguments of `raygan.train`.
    """
    path = run_folder(out)
    _begin(screen, path)
    screen.tell("starting ..." if in_process else "starting the actors ...")
    target = out if out is not None else path
    _follow(screen, lambda display: train(config, target, in_process=in_process, listener=display, **also))


def resume_and_show(
    run_path: str,
    changes: Sequence[str],
    address: str | None,
    in_process: bool,
    wait_for_nodes_s: float | None,
    screen: Screen,
    also: Mapping[str, Any],
) -> None:
    """Continues a run with a progress display; says so if it has ended already."""
    path = fetched(run_path)
    if Run.load(path).ended and not changes:
        screen.tell(ENDED.format(path))
    else:
        _begin(screen, path)
    _follow(
        screen,
        lambda display: resume(
            path,
            changes=changes,
            address=address,
            wait_for_nodes_s=wait_for_nodes_s,
            in_process=in_process,
            listener=display,
            **also,
        ),
    )


def _begin(screen: Screen, path: Path) -> None:
    GOING_ON.begin("raygan train --resume", path, "config.yaml")
    screen.tell(f"run {path}; after a stop it goes on with {GOING_ON.command}")


def _follow(screen: Screen, run_with: Callable[[Listener], Run]) -> None:
    with ExitStack() as until_exit:
        display = ProgressDisplay(screen, until_exit)
        run = run_with(display)
    if not run.ended:
        display.stop.carry_out()
    summary = run.summary
    title = f"{summary['rounds']} round{'s' if summary['rounds'] > 1 else ''}"
    if count := summary.get("clusters"):
        title += f", {count} cluster{'s' if count > 1 else ''}, Rand index {summary['cluster_agreement']:.2f}"
    screen.show(scores_table(run, summary["scores"], title))
    last = [path for path in run.samples if path.name.startswith(f"round-{summary['rounds']:04d}")]
    names = ("metrics.jsonl", "clusters.jsonl", "summary.json", "report.html")
    for path in (*last, *(run.path / name for name in names if (run.path / name).exists())):
        screen.tell(f"wrote {seen_from_here(path)}")


def seen_from_here(path: Path) -> Path:
    """A path as seen from the current folder; in full where that is elsewhere, the root, or gone, as a job's may be."""
    try:
        here = Path.cwd()
        return path if here == here.parent else path.relative_to(here)
    except (ValueError, OSError):
        return path


def show_plan(config: Config, out: str | None = None) -> None:
    """`--dry-run`: the configuration in full, every actor with its resources, the cuts, who holds what.

    Args:
        out: where the run would be.

    Raises:
        InputError: what can be known to go wrong: data, networks, cuts, the cluster at the address, the folder, the copy.
    """
    check_out(config, out)
    with planned(config) as plan:
        check_cluster(plan.algorithm.parties(), plan.config)
    _show_plan(config, plan)


def show_resumed_plan(
    run_path: str, changes: Sequence[str], address: str | None, wait_for_nodes_s: float | None
) -> None:
    """`--resume RUN --dry-run`: the same of a run that would go on.

    Raises:
        InputError: it cannot go on so, or is at a URI.
    """
    if is_uri(run_path):
        found = f"{run_path} would have to be fetched, which --dry-run does not"
        raise InputError("--resume", found, "give a folder, or leave --dry-run out")
    path = Path(run_path)
    if Run.load(path).ended and not changes:
        print(ENDED.format(path))
        return
    with resumed_plan(path, changes, address, wait_for_nodes_s) as plan:
        check_cluster(plan.algorithm.parties(), plan.config)
    _show_plan(plan.config, plan)


def _show_plan(config: Config, plan: Plan) -> None:
    console = make_console()
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, default_flow_style=None)
    console.print(text, markup=False, soft_wrap=True)
    console.print(_actors_table(plan), _clients_table(plan), _domains_table(plan))
    for warning in plan.warnings:
        console.print(warning, markup=False, soft_wrap=True)
    for note, indices in _notes(plan).items():
        domains = ", ".join(f"data.domains[{index}]" for index in indices)
        console.print(f"{domains}: {note}", markup=False, soft_wrap=True)
    if (cost := plan.cost) is not None:
        needs = ", ".join(f"{name} {decimal(int(needed))}" for name, needed in cost.memory_bytes.items())
        console.print(f"predicted memory of a client: {needs}", soft_wrap=True)
        if not isinstance(plan.algorithm, HuscfGan):
            console.print(f"predicted latency of one iteration: {cost.iteration_s:.4g} s", soft_wrap=True)
    if isinstance(plan.algorithm, HuscfGan):
        split = plan.algorithm.split
        console.print(latency_line(split.cuts), soft_wrap=True)
        if borders := split.layout.borders:
            sections = f"a body in {split.layout.sections} sections: steps follow each other every"
            whole_s, parted_s = split.cuts.overlapped_s, split.cuts.pipelined_s(borders)
            console.print(f"{sections} {parted_s:.4g} s, of one body {whole_s:.4g} s", soft_wrap=True)


def _notes(plan: Plan) -> dict[str, list[int]]:
    """What there is to say of the data, each once, with the domains that it is said of."""
    notes: dict[str, list[int]] = {}
    for index, (found, info) in enumerate(zip(plan.found, plan.infos, strict=True)):
        bias = fid_bias(info.num_test)
        for note in (*found.notes, *([] if bias is None else [bias])):
            notes.setdefault(note, []).append(index)
    return notes


def _domains_table(plan: Plan) -> FittingTable:
    """What was found of each domain."""
    rows = []
    for name, info, found in zip(domain_names(plan.config.data), plan.infos, plan.found, strict=True):
        shown = info.classes[:MAX_CLASSES]
        more = f" and {len(info.classes) - len(shown):,} more" if len(info.classes) > len(shown) else ""
        row = {
            "domain": name,
            "names of classes": ", ".join(shown) + more,
            "files": found.forms,
            "pixels": found.sizes,
            "skipped": found.skipped or "-",
            "classes": f"{len(info.classes):,}",
            "train": f"{info.num_train:,}",
            "test": f"{info.num_test:,}",
        }
        rows.append(row)
    return rows_table("data", rows, words=5)


def _actors_table(plan: Plan) -> FittingTable:
    """Every actor and what it asks Ray for."""
    rows = [
        {
            "actor": demand.name,
            "CPU": f"{demand.num_cpus:g}",
            "GPU": f"{demand.num_gpus:g}",
            "resources": ", ".join(f"{name}: {amount:g}" for name, amount in demand.resources.items()),
            "labels": ", ".join(f"{name}={value}" for name, value in demand.labels.items()),
        }
        for demand in all_demands(plan.algorithm.parties(), plan.config)
    ]
    return rows_table("actors", rows, words=5)


def _counts(counts: Sequence[int]) -> str:
    shown = " ".join(map(str, counts[: 2 * MAX_CLASSES]))
    more = counts[2 * MAX_CLASSES :]
    return shown + (f" and {sum(more):,} of {len(more):,} more classes" if more else "")


def _clients_table(plan: Plan) -> FittingTable:
    """Every client: its domain, its images by class, its device and, where networks are split, its cuts."""
    is_split = isinstance(plan.algorithm, HuscfGan)
    rows = []
    for client, held in zip(plan.layout.clients, plan.holdings, strict=True):
        row = {
            "client": str(client.client),
            "domain": held.domain,
            "images": str(held.num_images),
            "images of each class": _counts(held.class_counts),
            "device": client.profile,
        }
        if is_split:
            row |= {"G cut (h, t)": str(client.generator_cut), "D cut (h, t)": str(client.discriminator_cut)}
        rows.append(row)
    return rows_table("clients", rows, words=7)
