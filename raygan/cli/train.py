"""`raygan train`: what a person sees of a run, and of a run to be."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from raygan.algorithms.huscf import HuscfGan
from raygan.api import fetched
from raygan.cli.cuts import latency_line
from raygan.cli.evaluate import print_table
from raygan.cli.signals import StopRequest
from raygan.cli.tables import rows_table, wide_console
from raygan.config import Config
from raygan.report import resume, train
from raygan.run.events import Listener
from raygan.run.plan import Plan, planned
from raygan.run.stored import Run
from raygan.runtime.ray.demand import all_demands
from raygan.scores import HEADLINE

STOPPING_LINE = "stopping once this round has ended and is saved; once more stops at once"


def train_and_show(config: Config, out: str | None, in_process: bool) -> None:
    """Trains with a progress display, then prints scores and what was written."""
    console = Console()
    console.print("starting ..." if in_process else "starting the actors ...")
    _follow(console, lambda display: train(config, out, in_process=in_process, listener=display))


def resume_and_show(
    run_path: str, changes: Sequence[str], address: str | None, in_process: bool, wait_for_nodes_s: float | None
) -> None:
    """Continues a run with a progress display; says so if it has ended already."""
    console, path = Console(), fetched(run_path)
    if Run.load(path).ended and not changes:
        text = f"{path} has ended: nothing is left to do; --set training.rounds=N trains it longer"
        console.print(text, highlight=False, soft_wrap=True)
    _follow(
        console,
        lambda display: resume(
            path,
            changes=changes,
            address=address,
            wait_for_nodes_s=wait_for_nodes_s,
            in_process=in_process,
            listener=display,
        ),
    )


def _follow(console: Console, run_with: Callable[[Listener], Run]) -> None:
    with ExitStack() as until_exit:
        display = ProgressDisplay(console, until_exit)
        run = run_with(display)
    if not run.ended:
        display.stop.carry_out()
    summary = run.summary
    title = f"{summary['rounds']} rounds"
    if count := summary.get("clusters"):
        title += f", {count} cluster{'s' if count > 1 else ''}, Rand index {summary['cluster_agreement']:.2f}"
    print_table(console, run, summary["scores"], title)
    last = [path for path in run.samples if path.name.startswith(f"round-{summary['rounds']:04d}")]
    names = ("metrics.jsonl", "clusters.jsonl", "summary.json", "report.html")
    for path in (*last, *(run.path / name for name in names if (run.path / name).exists())):
        shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        console.print(f"wrote {shown}", highlight=False, markup=False, soft_wrap=True)


class ProgressDisplay(Listener):
    """One line that moves, and one line for each round that stays. From the first round on, a signal lets it end."""

    def __init__(self, console: Console, until_exit: ExitStack) -> None:
        self._console, self._until_exit = console, until_exit
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("D {task.fields[discriminator]:.2f} G {task.fields[generator]:.2f}"),
            TextColumn("{task.fields[speed]:.0f} images/s"),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._progress = until_exit.enter_context(Progress(*columns, console=console, transient=True))
        self._task: TaskID | None = None
        self._rounds = self._steps = self._images = 0
        self._started = 0.0
        self.stop = StopRequest(lambda: console.print(STOPPING_LINE, highlight=False))

    def should_stop(self) -> bool:
        """Whether a signal has asked for it."""
        return self.stop.asked is not None

    def on_wait(self, progress: str) -> None:
        """Prints what is waited for."""
        self._console.print(progress, highlight=False, markup=False)

    def on_start(self, plan: Plan, num_steps: int, first_round: int, dashboard: str | None) -> None:
        """Prints who takes part, and begins the line that moves."""
        self._until_exit.enter_context(self.stop.heeded())
        self._rounds, self._steps = plan.config.training.rounds, num_steps
        clients, workers = len(plan.layout.clients), len(plan.layout.workers)
        self._console.print(f"{clients} clients in {workers} actors, {num_steps} steps a round")
        if dashboard:
            self._console.print(f"Ray dashboard: {dashboard}", highlight=False)
        self._started = time.perf_counter()
        self._task = self._progress.add_task(
            f"round {first_round + 1}/{self._rounds}",
            total=self._rounds * num_steps,
            completed=first_round * num_steps,
            discriminator=0.0,
            generator=0.0,
            speed=0.0,
        )

    def on_step(self, round_number: int, step: int, losses: tuple[float, float], num_images: int) -> None:
        """Moves the line."""
        assert self._task is not None
        self._images += num_images
        self._progress.update(
            self._task,
            completed=round_number * self._steps + step + 1,
            description=f"round {round_number + 1}/{self._rounds}",
            discriminator=losses[0],
            generator=losses[1],
            speed=self._images / (time.perf_counter() - self._started),
        )

    def on_round(self, metrics: dict[str, Any]) -> None:
        """Prints the round's line."""
        found = {name: entry[HEADLINE] for name, entry in metrics["scores"].items()}
        scores = ", ".join(f"{name} {100 * s:.0f}%" for name, s in found.items() if s is not None)
        losses = (metrics["discriminator_loss"], metrics["generator_loss"])
        discriminator, generator = ("-" if loss is None else f"{loss:.2f}" for loss in losses)
        count = metrics.get("clusters")
        clusters = f"  {count} cluster{'s' if count > 1 else ''}" if count else ""
        self._console.print(
            f"round {metrics['round']:>3}  {metrics['seconds']:6.1f} s  D {discriminator} G {generator}{clusters}"
            + (f"  {HEADLINE.replace('_', ' ')}: {scores}" if scores else ""),
            highlight=False,
        )

    def on_fault(self, fault: str) -> None:
        """Prints a warning."""
        self._console.print(f"[yellow]warning[/yellow] {escape(fault)}", highlight=False)


def show_plan(config: Config) -> None:
    """`--dry-run`: the configuration in full, every actor with its resources, the cuts, who holds what."""
    with planned(config) as plan:
        pass
    console = wide_console(130)
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, default_flow_style=None)
    console.print(text, markup=False, soft_wrap=True)
    console.print(_actors_table(plan), _clients_table(plan))
    if (cost := plan.algorithm.cost) is not None:
        needs = ", ".join(f"{name} {decimal(int(needed))}" for name, needed in cost.memory_bytes.items())
        predicted = f"predicted on this fleet: {cost.iteration_s:.4g} s an iteration; memory of a client: {needs}"
        console.print(predicted, soft_wrap=True)
    if isinstance(plan.algorithm, HuscfGan):
        console.print(latency_line(plan.algorithm.split.cuts), soft_wrap=True)


def _actors_table(plan: Plan) -> Table:
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


def _clients_table(plan: Plan) -> Table:
    """Every client: its domain, its images by class, its device and, where networks are split, its cuts."""
    split = plan.algorithm.split if isinstance(plan.algorithm, HuscfGan) else None
    rows = []
    for client, held in zip(plan.layout.clients, plan.holdings, strict=True):
        row = {
            "client": str(client.client),
            "domain": held.domain,
            "images": str(held.num_images),
            "images of each class": " ".join(map(str, held.class_counts)),
            "device": client.profile,
        }
        if split:
            cuts = split.layout.clients[client.client]
            row |= {"G cut (h, t)": str(cuts.generator_cut), "D cut (h, t)": str(cuts.discriminator_cut)}
        rows.append(row)
    return rows_table("clients", rows, words=7)
