"""`raygan audit`: what the server and the finished model tell of a client's images and labels, measured by attacks."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from raygan.algorithms import algorithm_of
from raygan.cli.progress import EVERY_SECONDS
from raygan.cli.screen import Screen
from raygan.cli.tables import make_console, rows_table
from raygan.cli.trust import check_trust
from raygan.config import Config
from raygan.config.loading import read_config
from raygan.cuts.leakage import Leakage
from raygan.errors import InputError, RunError
from raygan.privacy.audit import Effort, Meter, audit
from raygan.privacy.document import ATTACKERS, ATTACKS, PICTURES, TITLES, Attack, Audit, as_json, cells, read_audit
from raygan.privacy.subject import Subject, subject_of_run, untrained
from raygan.report import write_report
from raygan.run.stored import Run
from raygan.storage import write_bytes, write_json

EFFORT = Effort()
"""How much each attack is given."""

MEASURED = Path("leakage.json")
"""Where what was measured on untrained networks is put."""


def audit_and_show(run: Run, round_number: int | None, attacks: Sequence[Attack], in_json: bool) -> None:
    """Attacks, writes `audit.json`, the pictures and the report, and prints tables or one JSON document.

    Raises:
        InputError: a round that is not kept, or data that is gone or has become another.
    """
    found = audit_run(run, round_number, attacks)
    if in_json:
        print(json.dumps(as_json(found), indent=2, allow_nan=False))
        return
    screen = Screen()
    for attack in ATTACKS:
        if rows := found.of(attack):
            screen.show(rows_table(TITLES[attack], [cells(row) for row in rows], words=3))
    for attack in dict.fromkeys(row.attack for row in found.controls):
        mine = [cells(row) for row in found.controls if row.attack == attack]
        screen.show(rows_table(f"controls of {attack}: all, and nothing, is to be found", mine, words=3))
    screen.tell(f"{ATTACKERS} In brackets: chance.")
    for line in [*found.notes, *(f"these attacks prove nothing: {words}" for words in found.weak)]:
        screen.warn(line)
    screen.tell(f"wrote {run.path / 'audit.json'} and {run.path / 'report.html'}")


def audit_run(run: Run, round_number: int | None, attacks: Sequence[Attack] = ATTACKS) -> Audit:
    """Attacks a kept round, and writes what was found into the run's folder. What another site has found there before, of
    the same round, stays; errors as `audit_and_show`."""
    subject = subject_of_run(run, round_number)
    found, pictures = _attacked(subject, attacks)
    with_others = found.joined(_before(run))
    for name, content in pictures.items():
        write_bytes(run.path / PICTURES / name, content)
    with_others.save(run.path)
    write_report(run.path)
    return with_others


def measured(of: Config | Path, trust: bool) -> Audit:
    """Inversion and labels alone: of a run, or of the networks that a configuration begins with.

    Raises:
        InputError: data or networks that cannot be used.
    """
    attacks: tuple[Attack, ...] = ("inversion", "labels")
    if isinstance(of, Path):
        run = Run.load(of)
        check_trust(run.config, trust, reads_data=True)
        return audit_run(run, None, attacks)
    return _attacked(untrained(of), attacks)[0]


def leakage_for(where: Path | None, overrides: list[str], trust: bool, as_json: bool) -> tuple[Config, Leakage]:
    """The configuration to plan for, and how much each of its cuts tells: by the audit of a run, which is made where it
    has none yet, or measured on the networks that a configuration begins with.

    Args:
        where: a run's folder, or a configuration; None: the demo's.
        as_json: nothing is written but what belongs to a run.

    Raises:
        InputError: data or networks that cannot be used, or an algorithm that cuts no networks.
    """
    is_run = where is not None and where.is_dir()
    config = read_config(where / "config.yaml" if where is not None and is_run else where, overrides)
    if "cuts" not in algorithm_of(config.algorithm).reads:
        raise InputError("--leakage", f"{config.algorithm} cuts no networks", "use algorithm: huscf")
    if where is None or not is_run:
        audit = measured(config, trust)
        if not as_json and audit.leakage is not None:
            write_json(MEASURED, audit.model_dump(mode="json"))
    else:
        found = read_audit(where)
        audit = found if found is not None and found.leakage is not None else measured(where, trust)
    assert audit.leakage is not None, "networks are cut, and inversion and labels were attacked"
    for line in audit.weak:
        raise InputError(
            "--leakage", f"the attacks are too weak to tell ({line})", "audit a run that was trained longer"
        )
    return config, audit.leakage


def _attacked(subject: Subject, attacks: Sequence[Attack]) -> tuple[Audit, dict[str, bytes]]:
    with _progress() as meter:
        return audit(subject, attacks, EFFORT, meter)


def _before(run: Run) -> Audit | None:
    """The audit that is there; one that is damaged is made anew."""
    try:
        return read_audit(run.path)
    except RunError:
        return None


@contextmanager
def _progress() -> Iterator[Meter]:
    """A bar on standard error, where a person sees it; elsewhere a line now and then."""
    console = make_console(stderr=True)
    if not console.is_terminal:
        yield Meter(_Lines())
        return
    columns = (
        BarColumn(24),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=None)
        yield Meter(lambda done, total, words: bar.update(task, completed=done, total=total or None, description=words))


class _Lines:
    """A line every so often, for a pipe or a job's log."""

    def __init__(self) -> None:
        self._told_s = time.monotonic()

    def __call__(self, done: int, total: int, words: str) -> None:
        """As `Meter.show`."""
        now = time.monotonic()
        if now - self._told_s >= EVERY_SECONDS["normal"]:
            self._told_s = now
            print(f"{done / max(1, total):4.0%}  {words}", file=sys.stderr, flush=True)
