"""The commands and their options; what they do is in the modules that they import when they are called."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from raygan.cli.signals import stopping_on_signals
from raygan.errors import InputError, StoppedError

GOES_ON = {
    "train": "; a run goes on after its last whole round with raygan train --resume RUN",
    "tune": "; a search goes on with raygan tune --resume DIR",
}
"""What a person who has stopped a command may want to know."""

app = typer.Typer(
    help="Train conditional GANs over devices that may not share their data.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

ConfigFile = Annotated[Path | None, typer.Argument(help="Configuration (YAML). None: the two-domain demo.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change one key, such as training.rounds=10. Repeatable."
    ),
]


@app.command()
def train(
    config: ConfigFile = None,
    overrides: Overrides = None,
    out: Annotated[
        str | None,
        typer.Option(
            help="The run's folder, or a URI (s3://...) for a copy. Default: a new one under runs/."
        ),
    ] = None,
    resume: Annotated[
        str | None, typer.Option(help="Continue the run in this folder or at this URI.")
    ] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster to join, such as auto.")] = None,
    wait_for_nodes: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", min=0, help="Wait so long for nodes that are not there yet."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show configuration, actors and cuts; train nothing.")
    ] = False,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Without Ray: the same numbers from one process.")
    ] = False,
) -> None:
    """Train, cluster, weigh, aggregate, score and draw."""
    from raygan.cli.train import resume_and_show, show_plan, train_and_show
    from raygan.config.loading import read_config

    if resume is not None:
        if config or overrides or out is not None or dry_run:
            found = "given together with a configuration, --set, --out or --dry-run"
            raise InputError("--resume", found, "give --resume alone: the run's own configuration is used")
        resume_and_show(resume, address, in_process, wait_for_nodes)
        return
    changes = [*(overrides or []), *([f"ray.address={address}"] if address else [])]
    if wait_for_nodes is not None:
        changes.append(f"ray.wait_for_nodes_s={wait_for_nodes}")
    settings = read_config(config, changes)
    if dry_run:
        show_plan(settings)
    else:
        train_and_show(settings, out, in_process)


@app.command()
def cuts(
    config: ConfigFile = None,
    overrides: Overrides = None,
    solver: Annotated[str | None, typer.Option(help="exact, ga or fixed; as --set cuts.solver.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document, nothing else.")] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Timeline (PNG). Default: cuts.png here; with --json none."),
    ] = None,
) -> None:
    """Choose where each device's networks are cut, prove it, and compare; trains nothing."""
    from raygan.cli.cuts import print_study, show_study
    from raygan.config.loading import read_config

    settings = read_config(config, [*(overrides or []), *([f"cuts.solver={solver}"] if solver else [])])
    if as_json:
        print_study(settings, out)
    else:
        show_study(settings, out or Path("cuts.png"))


@app.command()
def tune(
    search: Annotated[
        Path | None, typer.Argument(help="A search, such as tune_configs/smoke.yaml.", metavar="SEARCH.yaml")
    ] = None,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Change one key of the search, such as samples=4 or base.training.rounds=10. Repeatable.",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The search's folder. Default: a new one under runs/.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Continue the search in this folder.")] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster to join, such as auto.")] = None,
) -> None:
    """Search over configurations: every trial is a whole federation."""
    from raygan.cli.tune import resume_and_show, search_and_show

    if resume is not None:
        if search or overrides or out:
            found = "given together with a search, --set or --out"
            raise InputError("--resume", found, "give --resume alone: the search's own file is used")
        raise typer.Exit(resume_and_show(resume, address))
    if search is None:
        raise InputError("raygan tune", "no search", "give a file such as tune_configs/smoke.yaml")
    changes = [*(overrides or []), *([f"base.ray.address={address}"] if address else [])]
    raise typer.Exit(search_and_show(search, changes, out))


RunFolder = Annotated[Path, typer.Argument(metavar="RUN", help="A run's folder.")]
Round = Annotated[int | None, typer.Option("--round", help="Round, from 1. Default: the last kept.")]


@app.command()
def evaluate(
    run: RunFolder,
    round_number: Round = None,
    usefulness_images: Annotated[
        int | None,
        typer.Option(help="Also train a CNN on so many generated images of each domain (the paper: 30000)."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document, nothing else.")] = False,
) -> None:
    """Compute the scores of a kept round again, from its checkpoint and without Ray."""
    from raygan.cli.evaluate import print_scores, show_scores
    from raygan.run.stored import Run

    (print_scores if as_json else show_scores)(Run.load(run), round_number, usefulness_images)


@app.command()
def sample(
    run: RunFolder,
    cluster: Annotated[int | None, typer.Option(help="Whose generator. Default: the first.")] = None,
    labels: Annotated[
        str | None,
        typer.Option(help="Such as 0,1,2. Default: all classes of the cluster's domains."),
    ] = None,
    count: Annotated[int, typer.Option(help="Images of each label.")] = 10,
    round_number: Round = None,
    seed: Annotated[int, typer.Option(help="The same seed gives the same images.")] = 0,
    out: Annotated[Path, typer.Option(help="A picture (.png) or arrays (.npz).")] = Path("samples.png"),
) -> None:
    """Draw images from a cluster's generator, as a grid or as arrays."""
    from raygan.cli.sample import draw_samples
    from raygan.run.stored import Run

    print(draw_samples(Run.load(run), cluster, labels, count, round_number, seed, out))


@app.command()
def report(run: RunFolder) -> None:
    """Write RUN/report.html: scores, samples, clusters, cuts, time and faults on one page."""
    from raygan.cli.report import report_run

    print(report_run(run))


@app.command()
def bench(
    config: ConfigFile = None,
    overrides: Overrides = None,
    clients: Annotated[int | None, typer.Option(min=1, help="Clients of all domains. [8]")] = None,
    batch: Annotated[int | None, typer.Option(min=2, help="Images of a client in a step. [64]")] = None,
    width: Annotated[float | None, typer.Option(help="Channel counts, in the paper's. [1]")] = None,
    cuts: Annotated[
        str | None,
        typer.Option(help="planned, mixed, or pairs of G and D dealt in turn: '0,0/0,0 1,1/1,0'. [mixed]"),
    ] = None,
    codec: Annotated[str | None, typer.Option(help="As --set wire.codec.")] = None,
    clients_per_actor: Annotated[
        int | None, typer.Option(min=1, help="As --set ray.clients_per_actor.")
    ] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Turns of each contender.")] = 5,
    seconds: Annotated[float, typer.Option(min=0, help="About how long a contender's turn takes.")] = 10.0,
    scale: Annotated[
        str | None, typer.Option(help="Instead: the actors alone, for these numbers of clients: 10,50,200.")
    ] = None,
    vmap: Annotated[
        bool, typer.Option("--vmap", help="Instead: an actor's clients one by one and at once (without Ray).")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document, nothing else.")] = False,
) -> None:
    """Measure unsplit networks, the split in one process and the split on Ray, in turns.

    Values in brackets hold without CONFIG; with one, what is not given is as it says.
    """
    from raygan.bench.settings import AS_CONFIGURED, BenchOptions
    from raygan.cli.bench import show_bench, show_scale, show_vmap
    from raygan.config.loading import read_config

    given = {
        "clients": clients, "batch_size": batch, "width": width, "cuts": cuts, "codec": codec,
        "clients_per_actor": clients_per_actor, "repeats": repeats, "seconds": seconds,
    }  # fmt: skip
    defaults = vars(AS_CONFIGURED if config else BenchOptions())
    options = BenchOptions(**{**defaults, **{k: v for k, v in given.items() if v is not None}})
    settings = read_config(config, overrides or [])
    if scale is not None and vmap:
        raise InputError("--vmap", "given with --scale", "give one of them")
    if scale is not None:
        show_scale(settings, options, scale, as_json)
    elif vmap:
        show_vmap(settings, options, as_json)
    else:
        show_bench(settings, options, as_json)


@app.command()
def dashboard(
    grafana: Annotated[bool, typer.Option("--grafana", help="A Grafana dashboard (JSON).")] = False,
) -> None:
    """Write a dashboard of the metrics that every run publishes (raygan/telemetry/METRICS.md)."""
    from raygan.cli.dashboard import print_dashboard

    print_dashboard(grafana)


def main() -> None:
    """Entry point of the `raygan` command."""
    with stopping_on_signals() as received:
        try:
            app()
        except InputError as error:
            print(f"raygan: {error}", file=sys.stderr)
            sys.exit(2)
        except StoppedError as error:
            print(f"raygan: {error}", file=sys.stderr)
            sys.exit(1)
        except SystemExit:
            if not received:
                raise
            name = signal.Signals(received[0]).name
            print(f"raygan: stopped by {name}{GOES_ON.get(sys.argv[1], '')}", file=sys.stderr)
            sys.exit(128 + received[0])
