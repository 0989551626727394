"""What was run, on which devices, with which versions; faults, the configuration, and where to read on."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import Any

import yaml
from rich.filesize import decimal

from raygan.markup import Table
from raygan.report.record import Record

CHAPTERS = {
    "method": "words, networks, formulas",
    "algorithms": "the other algorithms",
    "cuts": "where networks are cut",
    "pictures": "what makes better pictures",
    "measurements": "what the scores mean, speed",
    "privacy": "what crosses and what it tells",
    "recovery": "what happens when something is lost",
    "files": "this run's files",
}
"""Name of a page of the documentation -> what it is about."""


def about_the_run(record: Record) -> dict[str, Any]:
    """`facts`, `devices` and what they are (`modelled`), `faults`, `configuration` and `chapters`."""
    emulated = record.config.devices.emulate
    return {
        "facts": _facts(record),
        "devices": _devices(record),
        "modelled": "Speeds are those of the profiles by which cuts are planned, "
        + ("and the actors took as long as they say." if emulated else "not of the machines that this run was on."),
        "faults": Table(
            ("round", "what happened"),
            [(entry["round"], fault) for entry in record.rounds for fault in entry.get("faults", [])],
            words=True,
        ),
        "configuration": yaml.safe_dump(
            record.config.model_dump(mode="json"), sort_keys=False, default_flow_style=None
        ),
        "chapters": Table(
            ("command", "what it shows"),
            [(f"raygan docs {name}", words) for name, words in CHAPTERS.items()],
            words=True,
        ),
    }


def _facts(record: Record) -> Table:
    """How it was begun and how it can be had again; versions."""
    summary, path = record.summary or {}, str(record.run.path)
    versions = ", ".join(f"{name} {number}" for name, number in summary.get("versions", {}).items())
    rounds = 2 * record.config.training.rounds
    rows = [
        ("command", summary.get("command") or "from Python, or not ended"),
        ("the same numbers again", shlex.join(["raygan", "train", f"{path}/config.yaml", "--out", f"{path}-again"])),
        ("longer", shlex.join(["raygan", "train", "--resume", path, "--set", f"training.rounds={rounds}"])),
        ("versions", versions or "not ended"),
    ]
    return Table(("", "this run"), rows, words=True)


def _devices(record: Record) -> Table:
    """The profiles of the fleet."""
    counts = Counter(record.device_of.values())
    rows = []
    for name, count in counts.items():
        profile = record.config.devices.profile(name)
        memory = "no limit" if profile.memory_bytes is None else decimal(profile.memory_bytes)
        speed, link = f"{profile.flops_per_s / 1e9:,.4g} GFLOP/s", f"{profile.bytes_per_s / 1e6:,.4g} MB/s"
        rows.append((name, count, speed, link, memory))
    return Table(("device", "clients", "computes", "up-link", "memory"), rows, title="Devices")
