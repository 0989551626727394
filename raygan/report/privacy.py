"""What privacy has cost and what an audit found: the sections of a run that was differentially private, or audited."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raygan.markup import Picture, Table
from raygan.privacy.document import ATTACKERS, ATTACKS, PICTURES, TITLES, Row, cells, read_audit
from raygan.report.record import MAX_CLIENTS, Record


def audited(record: Record) -> dict[str, Any] | None:
    """Tables of each attack beside chance, and originals beside reconstructions; None: the run was not audited."""
    audit = read_audit(record.run.path)
    if audit is None:
        return None
    tables = [(TITLES[attack], audit.of(attack)) for attack in ATTACKS]
    for attack in dict.fromkeys(row.attack for row in audit.controls):
        rows = [row for row in audit.controls if row.attack == attack]
        tables.append((f"controls of {attack}: all, and nothing, is to be found", rows))
    told = [f"These attacks prove nothing: {words}." for words in audit.weak] + [f"{note}." for note in audit.notes]
    return {
        "round": audit.round,
        "attackers": ATTACKERS,
        "lines": told,
        "tables": [_table(title, rows) for title, rows in tables if rows],
        "pictures": [shown for name in audit.pictures if (shown := _shown(record.run.path / PICTURES / name))],
    }


def budgets(record: Record) -> dict[str, Any] | None:
    """Epsilon of each client; None: the run is not differentially private."""
    dp, last = record.config.privacy.dp, next((e["privacy"] for e in reversed(record.rounds) if e.get("privacy")), None)
    if dp is None or last is None:
        return None
    rows = [
        (
            client,
            record.domain_of.get(int(client), "-"),
            f"{epsilon:.4g}",
            "yes" if int(client) in last["spent"] else "no",
        )
        for client, epsilon in list(last["clients"].items())[:MAX_CLIENTS]
    ]
    words = (
        f"D is trained with differential privacy, of one image of a client more or less: clipping norm {dp.clip:g}, "
        f"noise multiplier {dp.noise_multiplier:g}, delta {last['delta']:g}, a budget of epsilon {dp.epsilon:g}. Not in "
        "it: how many images of each class a client holds, and the scores, which compare with real images."
    )
    if dp.seeded:
        words += (
            " The noise follows from the run's seed, so it protects nothing from who knows that (privacy.dp.seeded)."
        )
    head = ("client", "domain", "epsilon spent", "budget ended")
    return {"epsilon": f"{last['epsilon']:.4g}", "words": words, "table": Table(head, rows)}


def _table(title: str, rows: Sequence[Row]) -> Table:
    shown = [cells(row) for row in rows]
    return Table(list(shown[0]), [list(row.values()) for row in shown], title=title[0].upper() + title[1:])


def _shown(file: Path) -> Picture | None:
    if file.is_symlink() or not file.is_file():
        return None
    return Picture(file.read_bytes(), "originals, and what the server makes of what crosses", "images")
