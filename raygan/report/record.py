"""What a report is made from: a run's files, read back. A run that was interrupted, or is still going on, is fine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from raygan.config.schema import Config
from raygan.data import domain_names
from raygan.run.folder import RunFolder
from raygan.run.stored import Run

MAX_CLIENTS, MAX_ROUNDS = 200, 12
"""Rows and columns of a table; more are in the run's files."""
PICTURE = re.compile(r"round-(\d+)-\w+-(\d+)\.png")


@dataclass(frozen=True)
class Record:
    """One run."""

    run: Run
    rounds: list[dict[str, Any]]
    """Lines of `metrics.jsonl`."""
    clusters: list[dict[str, Any]]
    """Lines of `clusters.jsonl`; empty: no round has ended, or the algorithm makes no clusters."""
    cuts: dict[str, Any] | None
    """`cuts.json`; None: it is missing, or the algorithm cuts no networks."""
    summary: dict[str, Any] | None
    """None: the run has not ended."""
    pictures: dict[tuple[int, int], Path]
    """(round, model) -> file."""

    @property
    def config(self) -> Config:
        """Of the run."""
        return self.run.config

    @property
    def domains(self) -> list[str]:
        """Names of the domains."""
        return domain_names(self.config.data)

    @property
    def domain_of(self) -> dict[int, str]:
        """Client -> name of its domain."""
        return {client: self.domains[index] for client, index in self.run.domain_of.items()}

    @property
    def device_of(self) -> dict[int, str]:
        """Client -> its device's profile."""
        fleet = self.config.devices.fleet
        return {client: fleet[client % len(fleet)] for client in self.run.domain_of}

    @property
    def scored(self) -> list[dict[str, Any]]:
        """The rounds that have scores."""
        return [entry for entry in self.rounds if entry.get("scores")]

    @property
    def scores(self) -> dict[str, Any]:
        """The last scores, by domain; empty: there are none."""
        return self.scored[-1]["scores"] if self.scored else {}


def read_record(path: str | Path) -> Record:
    """Reads a run's folder. Raises RunError: there is no run in it, or a file of it is damaged."""
    run, folder = Run.load(path), RunFolder(Path(path))
    pictures = ((PICTURE.fullmatch(file.name), file) for file in run.samples)
    return Record(
        run=run,
        rounds=folder.metrics(),
        clusters=folder.records("clusters"),
        cuts=folder.documents().get("cuts"),
        summary=folder.summary() if folder.summary_file.exists() else None,
        pictures={(int(match[1]), int(match[2])): file for match, file in pictures if match},
    )


def spread(items: list[Any], count: int) -> list[Any]:
    """At most `count` of the items, evenly spaced, the first and the last among them."""
    places = np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int)
    return [items[place] for place in places]
