"""What privacy has cost and what an audit found: the sections of a run that was differentially private, or audited."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from raygan.privacy.document import ATTACKERS, ATTACKS, PICTURES, TITLES, Row, cells, read_audit
from raygan.report.html import Html, picture, section, table, tag
from raygan.report.record import Record

MAX_CLIENTS = 200


def privacy_section(record: Record) -> Html | None:
    """Tables of each attack beside chance, and originals beside reconstructions; None: the run was not audited."""
    audit = read_audit(record.run.path)
    if audit is None:
        return None
    tables = [(TITLES[attack], audit.of(attack)) for attack in ATTACKS]
    for attack in dict.fromkeys(row.attack for row in audit.controls):
        rows = [row for row in audit.controls if row.attack == attack]
        tables.append((f"controls of {attack}: all, and nothing, is to be found", rows))
    told = [f"These attacks prove nothing: {words}." for words in audit.weak] + [f"{note}." for note in audit.notes]
    return section(
        "privacy",
        f"Privacy: what round {audit.round} tells",
        tag("p", f"{ATTACKERS} In brackets: chance.", class_="soft"),
        [tag("p", line) for line in told],
        [_table(title, rows) for title, rows in tables if rows],
        [_shown(record.run.path / PICTURES / name) for name in audit.pictures],
    )


def budget_section(record: Record) -> Html | None:
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
    return section("budget", f"Differential privacy: epsilon {last['epsilon']:.4g}", tag("p", words), table(head, rows))


def _table(title: str, rows: Sequence[Row]) -> list[Html]:
    shown = [cells(row) for row in rows]
    return [tag("h3", title[0].upper() + title[1:]), table(shown[0], [list(row.values()) for row in shown])]


def _shown(file: Path) -> Html | None:
    if file.is_symlink() or not file.is_file():
        return None
    return picture(file.read_bytes(), "originals, and what the server makes of what crosses", class_="wide")
