"""A run's folder: what is written where, and when (README, "A run's folder")."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from raygan.config.schema import Config
from raygan.errors import RunError
from raygan.messages import Written
from raygan.storage import append_json_line, read_json, read_json_lines, sha256_of, write_bytes, write_json


class RunFolder:
    """The files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    config_file = property(lambda self: self.path / "config.yaml")
    metrics_file = property(lambda self: self.path / "metrics.jsonl")
    clusters_file = property(lambda self: self.path / "clusters.jsonl")
    cuts_file = property(lambda self: self.path / "cuts.json")
    summary_file = property(lambda self: self.path / "summary.json")
    samples = property(lambda self: self.path / "samples")
    checkpoints = property(lambda self: self.path / "checkpoints")

    @classmethod
    def new(cls, path: Path) -> RunFolder:
        """A folder for a new run; nothing is written yet.

        Raises:
            RunError: it holds a run already.
        """
        folder = cls(path)
        if folder.config_file.exists():
            raise RunError(str(path), "this folder holds a run already", "choose another --out")
        above = next(parent for parent in (folder.path, *folder.path.parents) if parent.exists())
        if not above.is_dir() or not os.access(above, os.W_OK):
            raise RunError(str(path), f"cannot be made: {above} cannot be written to", "choose another --out")
        return folder

    def create(self, config: Config, cuts: Mapping[str, Any]) -> None:
        """Writes the configuration and the cuts.

        Raises:
            RunError: it cannot be written.
        """
        try:
            self.samples.mkdir(parents=True, exist_ok=True)
            self.checkpoints.mkdir(exist_ok=True)
            text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, default_flow_style=None)
            write_json(self.cuts_file, cuts)
            write_bytes(self.config_file, text.encode())
        except OSError as error:
            raise RunError(
                str(self.path), f"cannot be written ({error.strerror})", "choose another --out"
            ) from None

    def kept_cuts(self) -> tuple[Any, ...] | None:
        """The cuts of `cuts.json`, in the form of `raygan.cuts.Plan.cuts`; None: not written yet."""
        if not self.cuts_file.exists():
            return None
        clients = read_json(self.cuts_file)["clients"]
        return tuple((tuple(client["generator"]), tuple(client["discriminator"])) for client in clients)

    def rewind(self) -> int:
        """Takes back what was written after the last round that is whole: checkpoint, clusters and metrics.

        Returns:
            Rounds that are kept: the number of the next round, from 0.
        """
        written = min(len(read_json_lines(file)) for file in (self.metrics_file, self.clusters_file))
        kept = next(
            (n for n in range(written, 0, -1) if checkpoint_is_whole(Checkpoint(self, n - 1).path)), 0
        )
        for file in (self.metrics_file, self.clusters_file):
            lines = read_json_lines(file)
            if file.exists():
                write_bytes(file, "".join(json.dumps(line) + "\n" for line in lines[:kept]).encode())
        return kept

    def write_round(self, metrics: Mapping[str, Any]) -> None:
        """Appends a round to `metrics.jsonl`."""
        append_json_line(self.metrics_file, metrics)

    def write_clusters(self, record: Mapping[str, Any]) -> None:
        """Appends a round to `clusters.jsonl`."""
        append_json_line(self.clusters_file, record)


class Checkpoint:
    """One round's folder under `checkpoints/`: it has its name only once it is whole.

    Files: `cluster-K.safetensors` (every block of a cluster's networks), `body.safetensors`,
    `client-NNNN.safetensors` (heads, tails, optimizers), and `manifest.json` with every file's checksum.
    """

    def __init__(self, folder: RunFolder, round_number: int) -> None:
        self.path = folder.checkpoints / f"round-{round_number + 1:04d}"
        self.draft = folder.checkpoints / f".round-{round_number + 1:04d}.tmp"
        self._round = round_number

    def begin(self) -> str:
        """An empty draft folder for the actors to write into."""
        shutil.rmtree(self.draft, ignore_errors=True)
        self.draft.mkdir(parents=True)
        return str(self.draft)

    def set_aside(self) -> set[int]:
        """Clients that the run had set aside by then."""
        return set(read_json(self.path / "manifest.json")["set_aside"])

    def finish(self, files: Sequence[Written], assignment: Mapping[str, Any]) -> None:
        """Writes the manifest and gives the draft its name."""
        described = {file.name: {"bytes": file.num_bytes, "sha256": file.sha256} for file in files}
        write_json(self.draft / "manifest.json", {"round": self._round + 1, "files": described, **assignment})
        if self.path.exists():
            shutil.rmtree(self.path)
        os.replace(self.draft, self.path)


def checkpoint_is_whole(path: Path) -> bool:
    """Whether the manifest can be read and every file is there with its checksum."""
    try:
        files = read_json(path / "manifest.json")["files"]
        return all(sha256_of(path / Path(name).name) == entry["sha256"] for name, entry in files.items())
    except (RunError, OSError, KeyError, TypeError):
        return False
