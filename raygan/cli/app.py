"""The commands and their options; what they do is in the modules that they import when they are called."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Optional

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
    address: Annotated[Optional[str], typer.Option(help="Ray cluster to join, such as auto.")] = None,  # noqa: UP045
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show configuration, actors and cuts; train nothing.")
    ] = False,
    in_process: Annotated[
        bool, typer.Option("--in-process", help="Without Ray: the same numbers from one process.")
    ] = False,
) -> None:
    """Train, cluster, weigh, aggregate, score and draw."""
    from raygan.cli.train import show_plan, train_and_show
    from raygan.config.loading import read_config

    changes = [*(overrides or []), *([f"ray.address={address}"] if address else [])]
    settings = read_config(config, changes)
    if dry_run:
        show_plan(settings)
    else:
        train_and_show(settings, out, in_process)


@app.callback()
def _commands() -> None:
    """Keeps `train` a command of its own while it is the only one."""


def main() -> None:
    """Entry point of the `raygan` command."""
    try:
        app()
    except InputError as error:
        print(f"raygan: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("raygan: interrupted", file=sys.stderr)
        sys.exit(130)
