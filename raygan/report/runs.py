"""Train, then report: the front door for people, who want to see what came out."""

from __future__ import annotations

from pathlib import Path

from raygan import api as trainer
from raygan.config.schema import Config
from raygan.errors import RunError
from raygan.report import write_report
from raygan.run.events import Listener
from raygan.run.stored import Run


def train(
    config: Config,
    out: str | Path | None = None,
    *,
    in_process: bool = False,
    listener: Listener | None = None,
) -> Run:
    """`raygan.api.train`, then RUN/report.html. A page that cannot be written is told to the listener."""
    return _reported(trainer.train(config, out, in_process=in_process, listener=listener), listener)


def resume(
    path: str | Path,
    *,
    address: str | None = None,
    wait_for_nodes_s: float | None = None,
    in_process: bool = False,
    listener: Listener | None = None,
) -> Run:
    """`raygan.api.resume`, then RUN/report.html, as for `train`."""
    run = trainer.resume(
        path, address=address, wait_for_nodes_s=wait_for_nodes_s, in_process=in_process, listener=listener
    )
    return _reported(run, listener)


def _reported(run: Run, listener: Listener | None) -> Run:
    try:
        write_report(run.path)
    except RunError as error:
        (listener or Listener()).on_fault(f"no report: {error}")
    try:
        trainer.push_copy(run)
    except RunError as error:
        (listener or Listener()).on_fault(f"the copy is behind: {error}")
    return run
