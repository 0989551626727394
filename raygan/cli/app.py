"""The commands and their options; what they do is in the modules that they import when they are called."""

from __future__ import annotations

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from raygan.errors import InputError

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
        Path | None, typer.Option(help="The run's folder. Default: a new one under runs/.")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Continue the run in this folder.")] = None,
    address: Annotated[str | None, typer.Option(help="Ray cluster to join, such as auto.")] = None,
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
        if config or overrides or out or dry_run:
            found = "given together with a configuration, --set, --out or --dry-run"
            raise InputError("--resume", found, "give --resume alone: the run's own configuration is used")
        resume_and_show(resume, address, in_process)
        return
    changes = [*(overrides or []), *([f"ray.address={address}"] if address else [])]
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


def _interrupt(*_: object) -> None:
    """SIGTERM ends a run as Ctrl-C does: the actors are ended, the finished rounds are kept."""
    raise KeyboardInterrupt


def main() -> None:
    """Entry point of the `raygan` command."""
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        app()
    except InputError as error:
        print(f"raygan: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("raygan: interrupted; a run goes on after its last whole round with --resume", file=sys.stderr)
        sys.exit(130)
