"""A run's folder: what is written where, and when (README, "A run's folder")."""

from __future__ import annotations

import fcntl
import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import yaml

from raygan.config.schema import Config
from raygan.data import DomainInfo
from raygan.errors import RunError
from raygan.run.checkpoints import Checkpoints
from raygan.run.forms import ClustersForm, CutsForm, Form, RoundForm, SummaryForm, fits, in_form
from raygan.storage import (
    append_json_line,
    check_makeable,
    read_json,
    read_json_lines,
    whole_json_lines,
    write_bytes,
    write_json,
)

ENDING_SECONDS = 10.0
"""A process that trained the run may still be ending."""


class RunFolder:
    """The files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    config_file = property(lambda self: self.path / "config.yaml")
    metrics_file = property(lambda self: self.path / "metrics.jsonl")
    clusters_file = property(lambda self: self.path / "clusters.jsonl")
    cuts_file = property(lambda self: self.path / "cuts.json")
    domains_file = property(lambda self: self.path / "domains.json")
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
        check_makeable(path)
        return folder

    def create(self, config: Config, cuts: Mapping[str, Any], infos: Sequence[DomainInfo]) -> None:
        """Writes the configuration, the cuts and what is known of each domain: all, or nothing is left behind.

        Raises:
            RunError: it cannot be written.
        """
        RunFolder.new(self.path)  # somebody may have been faster
        made = not self.path.exists()
        try:
            self.samples.mkdir(parents=True, exist_ok=True)
            self.checkpoints.mkdir(exist_ok=True)
            write_json(self.cuts_file, cuts)
            write_json(self.domains_file, [asdict(info) for info in infos])
            self.write_config(config)
        except (OSError, RunError) as error:
            self._uncreate(made)
            found = error.found if isinstance(error, RunError) else f"cannot be written ({error.strerror})"
            raise RunError(str(self.path), found, "choose another --out") from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps others from writing into the folder; the lock goes with its process, however that ends.

        Raises:
            RunError: another process writes into it.
        """
        with self.config_file.open() as file:
            ends_s = time.monotonic() + ENDING_SECONDS
            while not _lock(file):
                if time.monotonic() > ends_s:
                    found = "another process is training this run"
                    raise RunError(str(self.path), found, "wait until it has ended, or stop it")
                time.sleep(0.1)
            yield

    def write_config(self, config: Config) -> None:
        """Writes `config.yaml`."""
        text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, default_flow_style=None)
        write_bytes(self.config_file, text.encode())

    def _uncreate(self, made: bool) -> None:
        if made:
            shutil.rmtree(self.path, ignore_errors=True)
        for file in (self.cuts_file, self.domains_file, self.config_file):
            file.unlink(missing_ok=True)

    def infos(self) -> list[DomainInfo]:
        """What is known of each domain, though its data may be elsewhere.

        Raises:
            RunError: the file is missing or damaged.
        """
        entries = read_json(self.domains_file)
        try:
            return [DomainInfo(**{key: _frozen(value) for key, value in entry.items()}) for entry in entries]
        except (TypeError, AttributeError):
            raise RunError(str(self.domains_file), "is damaged", "use another run") from None

    def kept_cuts(self) -> tuple[Any, ...] | None:
        """The cuts of `cuts.json`, in the form of `raygan.cuts.Plan.cuts`; None: not written yet.

        Raises:
            RunError: the file is damaged.
        """
        if not self.cuts_file.exists():
            return None
        clients = self.cuts()["clients"]
        return tuple((tuple(client["generator"]), tuple(client["discriminator"])) for client in clients)

    def cuts(self) -> dict[str, Any]:
        """`cuts.json`.

        Raises:
            RunError: it is missing or damaged.
        """
        return in_form(CutsForm, read_json(self.cuts_file), str(self.cuts_file))

    def summary(self) -> dict[str, Any]:
        """`summary.json`.

        Raises:
            RunError: it is missing, since the run has not ended, or damaged.
        """
        return in_form(SummaryForm, read_json(self.summary_file), str(self.summary_file))

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of `metrics.jsonl`.

        Raises:
            RunError: the file is damaged.
        """
        return self._lines(RoundForm, self.metrics_file)

    def clusters(self) -> list[dict[str, Any]]:
        """The lines of `clusters.jsonl`; errors as above."""
        return self._lines(ClustersForm, self.clusters_file)

    @staticmethod
    def _lines(form: type[Form], file: Path) -> list[dict[str, Any]]:
        lines = enumerate(read_json_lines(file), start=1)
        return [in_form(form, line, f"{file}:{number}") for number, line in lines]

    def rewind(
        self, checkpoints: Checkpoints, warn: Callable[[str], None], at_most: int | None = None
    ) -> int:
        """Takes back what was written after the last round that is whole: checkpoint, clusters and metrics.

        Args:
            warn: told of every damage that costs rounds.
            at_most: rounds that may be kept; None: all that are whole.

        Returns:
            Rounds that are kept: the number of the next round, from 0.
        """
        files: dict[Path, type[Form]] = {self.metrics_file: RoundForm, self.clusters_file: ClustersForm}
        lines = {file: _good_lines(file, form, warn) for file, form in files.items()}
        written = min(len(found) for found in lines.values())
        damaged: list[str] = []
        kept = checkpoints.last_whole(written if at_most is None else min(written, at_most), damaged)
        for text in damaged:
            warn(text)
        for file in files:
            if file.exists():
                write_bytes(file, "".join(json.dumps(line) + "\n" for line in lines[file][:kept]).encode())
        return kept

    def write_round(self, metrics: Mapping[str, Any]) -> None:
        """Appends a round to `metrics.jsonl`."""
        append_json_line(self.metrics_file, metrics)

    def write_clusters(self, record: Mapping[str, Any]) -> None:
        """Appends a round to `clusters.jsonl`."""
        append_json_line(self.clusters_file, record)


def _lock(file: TextIO) -> bool:
    """Whether nobody else has locked the file; True also where the file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _good_lines(file: Path, form: type[Form], warn: Callable[[str], None]) -> list[Any]:
    """The lines of a file up to the first that is damaged or is not the next round's."""
    lines, damaged = whole_json_lines(file)
    bad = (n for n, line in enumerate(lines) if line.get("round") != n + 1 or not fits(form, line))
    good = next(bad, len(lines))
    if damaged is not None or good < len(lines):
        warn(f"{file.name}, line {good + 1} is damaged: the rounds from there on are run again")
    return lines[:good]


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
