"""A run's folder: what is written where, and when (`raygan/docs/files.md`, "A run's folder")."""

from __future__ import annotations

import fcntl
import json
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

import yaml
from pydantic import ValidationError

from raygan.config.loading import make_config, read_yaml
from raygan.config.schema import Config
from raygan.data import DomainInfo
from raygan.errors import RunError
from raygan.run.checkpoints import Checkpoint, Checkpoints
from raygan.run.forms import DOCUMENT_FORMS, DOMAINS_FORM, RECORD_FORMS, LineForm, SummaryForm, in_form, malformed
from raygan.runtime.limits import LIMITS
from raygan.storage import (
    check_makeable,
    read_json,
    read_json_lines,
    whole_json_lines,
    write_bytes,
    write_json,
)

BEFORE: Mapping[str, Mapping[str, Any]] = {
    "training": {"steps": "own_epochs", "average": None},
    "data": {"images_per_client": None},
    "model": {"networks": "paper"},
    "cuts": {"bodies": "shared"},
}
"""Keys that came later than the first runs, with what these did."""


class RunFolder:
    """The files of one run."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()

    config_file = property(lambda self: self.path / "config.yaml")
    metrics_file = property(lambda self: self.path / "metrics.jsonl")
    domains_file = property(lambda self: self.path / "domains.json")
    summary_file = property(lambda self: self.path / "summary.json")
    privacy_file = property(lambda self: self.path / "privacy.json")
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

    def record_file(self, name: str) -> Path:
        """A file of lines of the algorithm's own, one a round, such as `clusters.jsonl`."""
        return self.path / f"{name}.jsonl"

    def document_file(self, name: str) -> Path:
        """A file of the algorithm's own about the whole run, such as `cuts.json`."""
        return self.path / f"{name}.json"

    def create(self, config: Config, documents: Mapping[str, Mapping[str, Any]], infos: Sequence[DomainInfo]) -> None:
        """Writes the configuration, what the algorithm planned and what is known of each domain: all, or nothing is left
        behind.

        Raises:
            RunError: it cannot be written.
        """
        RunFolder.new(self.path)  # somebody may have been faster
        made = not self.path.exists()
        try:
            self.samples.mkdir(parents=True, exist_ok=True)
            self.checkpoints.mkdir(exist_ok=True)
            self.write_documents(documents, infos)
            self.write_config(config)
        except (OSError, RunError) as error:
            if made:
                shutil.rmtree(self.path, ignore_errors=True)
            for file in (self.domains_file, self.config_file, *map(self.document_file, documents)):
                file.unlink(missing_ok=True)
            found = error.found if isinstance(error, RunError) else f"cannot be written ({error.strerror})"
            raise RunError(str(self.path), found, "choose another --out") from None

    def write_documents(self, documents: Mapping[str, Mapping[str, Any]], infos: Sequence[DomainInfo]) -> None:
        """Writes what the algorithm planned, and what is known of each domain."""
        for name, document in documents.items():
            write_json(self.document_file(name), document)
        write_json(self.domains_file, [asdict(info) for info in infos])

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keeps others from writing into the folder; the lock goes with its process, however that ends.

        Raises:
            RunError: another process writes into it.
        """
        with self.config_file.open() as file:
            ends_s = time.monotonic() + LIMITS.ending_s
            while not _lock(file):
                if time.monotonic() > ends_s:
                    found = "another process is training this run"
                    raise RunError(str(self.path), found, "wait until it has ended, or stop it")
                time.sleep(0.1)
            yield

    def config(self) -> Config:
        """What `config.yaml` says; keys that it does not have yet are as they were when there were none.

        Raises:
            ConfigError: the file cannot be read or is damaged.
        """
        settings = read_yaml(self.config_file)
        for name, before in BEFORE.items():
            given = settings.get(name)
            if given is None or isinstance(given, dict):
                settings[name] = {**before, **(given or {})}
        return make_config(settings)

    def write_config(self, config: Config) -> None:
        """Writes `config.yaml`."""
        text = yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, default_flow_style=None)
        write_bytes(self.config_file, text.encode())

    def infos(self) -> list[DomainInfo]:
        """What is known of each domain, though its data may be elsewhere.

        Raises:
            RunError: the file is missing or damaged.
        """
        content = read_json(self.domains_file)
        try:
            return [DomainInfo(**entry.model_dump()) for entry in DOMAINS_FORM.validate_python(content)]
        except ValidationError as error:
            raise malformed(str(self.domains_file), error, "restore the file") from None

    def documents(self) -> dict[str, dict[str, Any]]:
        """What the run's algorithm had planned, as far as it is there.

        Raises:
            RunError: a file is damaged.
        """
        files = {name: self.document_file(name) for name in DOCUMENT_FORMS}
        return {
            name: in_form(DOCUMENT_FORMS[name], read_json(file), str(file))
            for name, file in files.items()
            if file.exists()
        }

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
        return self.records("metrics")

    def records(self, name: str) -> list[dict[str, Any]]:
        """The lines of a file of the algorithm's own; errors as above."""
        file, form = self.record_file(name), RECORD_FORMS.get(name, LineForm)
        lines = enumerate(read_json_lines(file), start=1)
        return [in_form(form, line, f"{file}:{number}") for number, line in lines]

    def rewind(
        self,
        checkpoints: Checkpoints,
        record_names: Sequence[str],
        warn: Callable[[str], None],
        at_most: int | None = None,
    ) -> int:
        """Takes back what was written after the last whole round: checkpoint, metrics and the algorithm's records.

        Args:
            record_names: the algorithm's files of lines.
            warn: told of every damage that costs rounds.
            at_most: rounds that may be kept; None: all that are whole.

        Returns:
            Rounds that are kept: the number of the next round, from 0.
        """
        names = ("metrics", *record_names)
        lines = {name: _good_lines(self.record_file(name), name, warn) for name in names}
        written = min(len(found) for found in lines.values())
        kept = checkpoints.last_whole(written if at_most is None else min(written, at_most), warn)
        for name in names:
            if (file := self.record_file(name)).exists():
                _write_lines(file, lines[name][:kept])
        return kept


def fork(source: str | Path, num_rounds: int, config: Config, out: str | Path) -> None:
    """Makes a run's folder that `resume` continues after round `num_rounds` of another run.

    What the rounds from then on follow is the new configuration; networks, optimizers' moments and the rounds before
    are the other run's. Only keys may differ from which nothing in a checkpoint has its shape: `training.lr`, not
    `model.width`.

    Args:
        source: the other run's folder; it may still be going on.
        out: a new folder; one that an interrupted call has left is made anew.

    Raises:
        RunError: the other run has no whole checkpoint of that round.
    """
    there, here = RunFolder(Path(source)), RunFolder(Path(out))
    kept, copy = (Checkpoint(folder.checkpoints, num_rounds - 1) for folder in (there, here))
    _check_whole(kept, source)
    if not here.config_file.exists():
        shutil.rmtree(here.path, ignore_errors=True)
    here.checkpoints.mkdir(parents=True)
    shutil.copytree(kept.path, copy.path)
    _check_whole(copy, source)
    copy.adopt(config)
    for file in map(there.record_file, RECORD_FORMS):
        if file.exists():
            _write_lines(here.path / file.name, read_json_lines(file)[:num_rounds])
    here.create(config, there.documents(), there.infos())  # the configuration last: with it, this is a run


def _check_whole(checkpoint: Checkpoint, source: str | Path) -> None:
    damage = checkpoint.damage()
    if damage is None and checkpoint.manifest().whole:
        return
    found = f"no whole checkpoint of round {checkpoint.round + 1} ({damage or 'thinned out'})"
    raise RunError(str(source), found, "set checkpoints.keep: null, so that all are kept")


def _lock(file: TextIO) -> bool:
    """Whether nobody else has locked the file; True also where the file system has no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def _write_lines(file: Path, lines: Iterable[Any]) -> None:
    write_bytes(file, "".join(json.dumps(line) + "\n" for line in lines).encode())


def _good_lines(file: Path, name: str, warn: Callable[[str], None]) -> list[Any]:
    """The lines of a file up to the first that is damaged or is not the next round's."""
    lines, damaged = whole_json_lines(file)
    good, form = 0, RECORD_FORMS.get(name, LineForm)
    with suppress(ValidationError):
        while good < len(lines) and form.model_validate(lines[good]).round == good + 1:
            good += 1
    if damaged is not None or good < len(lines):
        warn(f"{file.name}, line {good + 1} is damaged: the rounds from there on are run again")
    return lines[:good]
