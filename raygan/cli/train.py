"""`raygan train`: what a person sees of a run, and of a run to be."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from raygan.algorithms.huscf import HuscfGan
from raygan.api import fetched
from raygan.cli.cuts import latency_line
from raygan.cli.evaluate import print_table
from raygan.cli.signals import StopRequest
from raygan.config import Config
from raygan.report.runs import resume, train
from raygan.run.events import Listener
from raygan.run.plan import Plan
from raygan.run.sites import planned
from raygan.run.stored import Run
from raygan.runtime.ray.demand import demands
from raygan.scores import HEADLINE

STOPPING_LINE = "stopping once this round has ended and is saved; once more stops at once"


def train_and_show(config: Config, out: str | None, in_process: bool) -> None:
    """Trains with a progress display, then prints scores and what was written."""
    console = Console()
    console.print("starting the actors ..." if not in_process else "starting ...")
    with ProgressDisplay(console) as display:
        run = train(config, out, in_process=in_process, listener=display)
    if not run.ended:
        display.stop.carry_out()
    _print_results(console, run)


def resume_and_show(
    run_path: str, address: str | None, in_process: bool, wait_for_nodes_s: float | None = None
) -> None:
    """Continues a run with a progress display; says so if it has ended already."""
    console = Console()
    path = fetched(run_path)
    if Run.load(path).ended:
        console.print(f"{path} has ended: nothing is left to do", highlight=False)
    with ProgressDisplay(console) as display:
        run = resume(
            path,
            address=address,
            wait_for_nodes_s=wait_for_nodes_s,
            in_process=in_process,
            listener=display,
        )
    if not run.ended:
        display.stop.carry_out()
    _print_results(console, run)


def _print_results(console: Console, run: Run) -> None:
    summary = run.summary
    title = f"{summary['rounds']} rounds"
    if "clusters" in summary:
        title += f", {summary['clusters']} clusters, Rand index {summary['cluster_agreement']:.2f}"
    print_table(console, summary["scores"], title)
    _print_written(console, run)


class ProgressDisplay(Listener):
    """One line that moves, and one line for each round that stays."""

    def __init__(self, console: Console) -> None:
        self._console = console
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("D {task.fields[discriminator]:.2f} G {task.fields[generator]:.2f}"),
            TextColumn("{task.fields[speed]:.0f} images/s"),
            TextColumn("left"),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=console, transient=True)
        self._task: TaskID | None = None
        self._rounds = self._images = 0
        self._started = 0.0
        self.stop = StopRequest(self._tell_of_stop)
        self._until_exit = ExitStack()

    def __enter__(self) -> ProgressDisplay:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._until_exit.close()
        self._progress.stop()

    def should_stop(self) -> bool:
        """Whether a signal has come."""
        return self.stop.asked is not None

    def _tell_of_stop(self) -> None:
        self._console.print(STOPPING_LINE, highlight=False)

    def on_wait(self, progress: str) -> None:
        """Says what is waited for."""
        self._console.print(progress, highlight=False, markup=False)

    def on_start(self, plan: Plan, num_steps: int, first_round: int, dashboard: str | None) -> None:
        """Shows who takes part and where the dashboard is. From here on, a signal lets the round end."""
        self._until_exit.enter_context(self.stop.heeded())
        self._rounds, self._steps = plan.config.training.rounds, num_steps
        layout = plan.layout
        self._console.print(
            f"{len(layout.clients)} clients in {len(layout.workers)} actors, {num_steps} steps a round"
        )
        if dashboard:
            self._console.print(f"Ray dashboard: {dashboard}", highlight=False)
        self._started = time.perf_counter()
        total = self._rounds * num_steps
        self._task = self._progress.add_task(
            f"round {first_round + 1}/{self._rounds}",
            total=total,
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
        """Leaves a line for the round."""
        scores = ", ".join(
            f"{name} {100 * s[HEADLINE]:.0f}%"
            for name, s in metrics["scores"].items()
            if s[HEADLINE] is not None
        )
        losses = f"D {_shown(metrics['discriminator_loss'])} G {_shown(metrics['generator_loss'])}"
        count = metrics.get("clusters")
        clusters = f"  {count} cluster{'s' if count > 1 else ''}" if count else ""
        self._console.print(
            f"round {metrics['round']:>3}  {metrics['seconds']:6.1f} s  {losses}{clusters}"
            + (f"  {HEADLINE.replace('_', ' ')}: {scores}" if scores else ""),
            highlight=False,
        )

    def on_fault(self, fault: str) -> None:
        """Warns."""
        self._console.print(f"[yellow]warning[/yellow] {escape(fault)}", highlight=False)


def _print_written(console: Console, run: Run) -> None:
    last = [path for path in run.samples if path.name.startswith(f"round-{run.summary['rounds']:04d}")]
    names = ("metrics.jsonl", "clusters.jsonl", "summary.json", "report.html")
    for path in (*last, *(run.path / name for name in names)):
        console.print(f"wrote {_relative(path)}", highlight=False, markup=False, soft_wrap=True)


def _relative(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def show_plan(config: Config) -> None:
    """`--dry-run`: the configuration in full, every actor with its resources, the cuts, who holds what."""
    with planned(config) as plan:
        pass
    console = Console()
    console.width = max(console.width, 130)  # the tables are wide; a narrow terminal may scroll
    text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, default_flow_style=None)
    console.print(text, highlight=False, markup=False, soft_wrap=True)
    console.print(actors_table(plan))
    console.print(clients_table(plan))
    if isinstance(plan.algorithm, HuscfGan):
        console.print(latency_line(plan.algorithm.split.cuts), highlight=False, soft_wrap=True)


def actors_table(plan: Plan) -> Table:
    """Every actor and what it asks Ray for."""
    table = Table("actor", "CPU", "GPU", "resources", "labels", title="actors")
    for role in demands(plan.algorithm.parties(), plan.config).values():
        for demand in role:
            resources = ", ".join(f"{name}: {amount:g}" for name, amount in demand.resources.items())
            labels = ", ".join(f"{name}={value}" for name, value in demand.labels.items())
            table.add_row(demand.name, f"{demand.num_cpus:g}", f"{demand.num_gpus:g}", resources, labels)
    return table


def clients_table(plan: Plan) -> Table:
    """Every client: its domain, its images by class, its device and, where networks are split, its cuts."""
    columns = ["client", "domain", "images", "images of each class", "device"]
    split = plan.algorithm.split if isinstance(plan.algorithm, HuscfGan) else None
    table = Table(*columns, *(["G cut (h, t)", "D cut (h, t)"] if split else []), title="clients")
    for client, held in zip(plan.layout.clients, plan.holdings, strict=True):
        cuts = split.layout.clients[client.client] if split else None
        table.add_row(
            str(client.client),
            held.domain,
            str(held.num_images),
            " ".join(map(str, held.class_counts)),
            client.profile,
            *([str(cuts.generator_cut), str(cuts.discriminator_cut)] if cuts else []),
        )
    return table
