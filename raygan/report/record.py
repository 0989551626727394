"""What a report is made from: a run's files, read back. A run that was interrupted, or is still going on, is fine."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygan.config.loading import read_config
from raygan.config.schema import Config
from raygan.data import domain_names
from raygan.errors import RunError
from raygan.run.folder import RunFolder

PICTURE = re.compile(r"round-(\d+)-cluster-(\d+)\.png")


@dataclass(frozen=True)
class Record:
    """One run."""

    path: Path
    config: Config
    rounds: list[dict[str, Any]]
    """Lines of `metrics.jsonl`."""
    clusters: list[dict[str, Any]]
    """Lines of `clusters.jsonl`."""
    cuts: dict[str, Any] | None
    summary: dict[str, Any] | None
    """None: the run has not ended."""
    pictures: dict[tuple[int, int], Path]
    """(round, cluster) -> file."""

    @property
    def domains(self) -> list[str]:
        """Names of the domains."""
        return domain_names(self.config.data)

    @property
    def domain_of(self) -> dict[int, str]:
        """Client -> name of its domain."""
        pairs = zip(self.domains, self.config.data.domains, strict=True)
        return dict(enumerate(name for name, domain in pairs for _ in range(domain.clients)))

    @property
    def device_of(self) -> dict[int, str]:
        """Client -> its device's profile."""
        fleet = self.config.devices.fleet
        return {client: fleet[client % len(fleet)] for client in self.domain_of}

    @property
    def scored(self) -> list[dict[str, Any]]:
        """The rounds that have scores."""
        return [entry for entry in self.rounds if entry.get("scores")]

    @property
    def scores(self) -> dict[str, Any]:
        """The last scores, by domain; empty: there are none."""
        return self.scored[-1]["scores"] if self.scored else {}


def read_record(path: str | Path) -> Record:
    """Reads a run's folder.

    Raises:
        RunError: there is no run in it, or a file of it is damaged.
    """
    folder = RunFolder(Path(path))
    if not folder.config_file.exists():
        found = "no config.yaml, so this is not a run's folder"
        raise RunError(str(path), found, "give the folder of a run")
    return Record(
        path=folder.path,
        config=read_config(folder.config_file),
        rounds=folder.metrics(),
        clusters=folder.records("clusters"),
        cuts=folder.documents().get("cuts"),
        summary=folder.summary() if folder.summary_file.exists() else None,
        pictures=_pictures(folder.samples),
    )


def _pictures(folder: Path) -> dict[tuple[int, int], Path]:
    found = ((PICTURE.fullmatch(path.name), path) for path in sorted(folder.glob("*.png")))
    return {(int(match[1]), int(match[2])): path for match, path in found if match}


def spread(items: list[Any], count: int) -> list[Any]:
    """At most `count` of the items, evenly spaced, the first and the last among them."""
    if len(items) <= count:
        return items
    return [items[round(step * (len(items) - 1) / (count - 1))] for step in range(count)]
