"""A run's checkpoints: one folder a round, whole or not at all, checked by checksums, the old ones thinned out.

Nothing in a checkpoint may lead out of it: names in a manifest are plain file names, and links are not followed.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from raygan.algorithms.base import ServerState
from raygan.algorithms.identities import served_after
from raygan.config.schema import CheckpointConfig, Config
from raygan.errors import RunError
from raygan.parties.aggregator import model_file
from raygan.parties.base import client_file
from raygan.run.forms import malformed
from raygan.scores import SCORES
from raygan.storage import read_json, remove_folder, sha256_of, sync_folder, write_json, writing
from raygan.wire.records import Written

MANIFEST = "manifest.json"
NAME = re.compile(r"round-(\d{4,})")
MODEL_FILE = re.compile(r"(cluster|model)-(\d+)\.safetensors")
FileName = Annotated[str, Field(pattern=r"^[a-z]+(-[0-9]+)?\.safetensors$")]


class FileEntry(BaseModel):
    """One file of a checkpoint."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    bytes: int
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    clients: list[int] = []
    """Those whose states it holds; of an older checkpoint, the one that its name has."""


class Manifest(BaseModel):
    """`manifest.json`: what belongs to a checkpoint, and what the run had come to."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    round: Annotated[int, Field(ge=1)]
    """From 1."""
    files: dict[FileName, FileEntry]
    clusters: dict[int, int]
    """Client -> the model that serves it."""
    state: dict[str, Any] | None = None
    """What the algorithm knows at the server; None: of a checkpoint that had none yet."""
    set_aside: tuple[int, ...] = ()
    """Clients that the run had set aside."""
    config: dict[str, Any] | None = None
    """The configuration that the run was trained with; None: of a checkpoint that did not know it yet."""
    whole: bool = True
    """False: thinned out to the models, so that no run can go on from here."""

    def server_state(self, initial: ServerState, clients: Iterable[int]) -> ServerState:
        """What the algorithm knew at the server; of an older run, from its clusters.

        Args:
            initial: what it knows before the first round, for its form.
            clients: all of the federation.

        Raises:
            RunError: the state is another algorithm's.
        """
        serves = served_after({}, self.clusters, clients) if self.clusters else {}
        older = {"serves": serves, "num_models": 1 + max(serves.values(), default=-1)}
        try:
            return type(initial).model_validate(older if self.state is None else self.state)
        except ValidationError as error:
            raise malformed(f"round {self.round}, state", error, "use another round") from None

    def sources(self, kind: str, serves: Mapping[int, int], clients: Iterable[int]) -> dict[int, str]:
        """Client -> the file with its state; of those that have none, of their model, or empty where that is missing too.

        Args:
            kind: what the algorithm calls its models.
            serves: client -> the model that it has.
            clients: those that are asked for.
        """
        packed = {client: name for name, entry in self.files.items() for client in entry.clients}

        def source(client: int) -> str:
            models = [model_file(f"{kind}-{serves[client]}")] if client in serves else []
            own = packed.get(client, client_file(client))
            return next((file for file in (own, *models) if file in self.files), "")

        return {client: source(client) for client in clients}


class Checkpoint:
    """One round's folder under `checkpoints/`: it has its name only once it is whole.

    Files: a model each (`cluster-K.safetensors`: every block of its networks), one of each server (`body.safetensors`),
    one of each client actor with all its clients (`clients-NNNN.safetensors`, after the first of them; older checkpoints
    have one of each client, `client-NNNN.safetensors`), and `manifest.json` with every file's checksum and its own.

    Args:
        folder: `RUN/checkpoints`.
        round_number: from 0.
    """

    def __init__(self, folder: Path, round_number: int) -> None:
        self.path = folder / f"round-{round_number + 1:04d}"
        self.draft = folder / f".round-{round_number + 1:04d}.tmp"
        self.round = round_number

    def begin(self) -> str:
        """An empty draft folder for the actors to write into.

        Raises:
            RunError: it cannot be made.
        """
        with writing(self.draft):
            remove_folder(self.draft)
            self.draft.mkdir(parents=True)
        return str(self.draft)

    def finish(
        self,
        files: Sequence[Written],
        served: Mapping[int, int],
        set_aside: Sequence[int],
        state: Mapping[str, Any],
        config: Config,
    ) -> None:
        """Writes the manifest and gives the draft its name.

        Raises:
            RunError: it cannot be written; the draft is removed.
        """
        entries = {
            file.name: FileEntry(bytes=file.num_bytes, sha256=file.sha256, clients=list(file.clients)) for file in files
        }
        manifest = Manifest(
            round=self.round + 1,
            files=entries,
            clusters=dict(served),
            set_aside=tuple(set_aside),
            state=dict(state),
            config=config.model_dump(mode="json"),
        )
        self._write_manifest(self.draft, manifest)
        with writing(self.path):
            remove_folder(self.path)
            os.replace(self.draft, self.path)
            sync_folder(self.path.parent)

    def manifest(self) -> Manifest:
        """The manifest.

        Raises:
            RunError: it is missing, damaged or not one.
        """
        file = self.path / MANIFEST
        if self.path.is_symlink() or file.is_symlink():
            raise RunError(str(file), "is behind a link", "put the folder itself there")
        content = read_json(file)
        digest = content.pop("digest", None) if isinstance(content, dict) else None
        if digest is None or digest != _digest(content):
            raise RunError(str(file), "was altered or damaged", "use another round")
        try:
            return Manifest.model_validate(content)
        except ValidationError as error:
            raise malformed(str(file), error, "use another round") from None

    def damage(self) -> str | None:
        """What is wrong with it, in words; None: every file is there with its checksum."""
        try:
            manifest = self.manifest()
            for name, entry in manifest.files.items():
                file = self.path / name
                if file.is_symlink() or not file.is_file():
                    return f"{name} is missing"
                if file.stat().st_size != entry.bytes or sha256_of(file) != entry.sha256:
                    return f"{name} is damaged"
        except (RunError, OSError) as error:
            return str(error)
        if manifest.round != self.round + 1:
            return f"its manifest is that of round {manifest.round}"
        return None

    def thin(self) -> None:
        """Keeps the models only, to sample from and to score."""
        manifest = self.manifest()
        networks = {name: entry for name, entry in manifest.files.items() if MODEL_FILE.fullmatch(name)}
        self._write_manifest(self.path, manifest.model_copy(update={"files": networks, "whole": False}))
        with writing(self.path):
            for name in manifest.files.keys() - networks.keys():
                (self.path / name).unlink(missing_ok=True)

    def adopt(self, config: Config) -> None:
        """Goes on under another configuration."""
        self._write_manifest(self.path, self.manifest().model_copy(update={"config": config.model_dump(mode="json")}))

    @staticmethod
    def _write_manifest(folder: Path, manifest: Manifest) -> None:
        content = manifest.model_dump(mode="json")
        write_json(folder / MANIFEST, {**content, "digest": _digest(content)})


class Checkpoints:
    """All checkpoints of a run, in its folder `RUN/checkpoints`."""

    def __init__(self, folder: Path, config: CheckpointConfig) -> None:
        self.folder, self._config = folder, config

    def of(self, round_number: int) -> Checkpoint:
        """The checkpoint of a round (from 0), which need not be there."""
        return Checkpoint(self.folder, round_number)

    def due(self, round_number: int, num_rounds: int) -> bool:
        """Whether a round (from 0) gets one: every n-th, and the last."""
        return (round_number + 1) % self._config.every == 0 or round_number + 1 == num_rounds

    def stored(self) -> list[Checkpoint]:
        """Those whose folders are there, damaged or not, in the order of the rounds."""
        names = (NAME.fullmatch(path.name) for path in self.folder.glob("round-*"))
        return [self.of(number - 1) for number in sorted(int(match[1]) for match in names if match)]

    def last_whole(self, at_most: int, warn: Callable[[str], None] = lambda _: None) -> int:
        """Rounds after which a run can go on: at most so many; 0: from the beginning.

        Args:
            warn: is given a line for each newer checkpoint that cannot be used.
        """
        for checkpoint in reversed(self.stored()):
            if checkpoint.round < at_most:
                found = checkpoint.damage()
                if found is None and checkpoint.manifest().whole:
                    return checkpoint.round + 1
                if found is not None:
                    warn(f"the checkpoint of round {checkpoint.round + 1} cannot be used: {found}")
        return 0

    def prune(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Thins out or removes what is neither among the last to keep, nor the best, nor without metrics yet.

        Args:
            lines: of `metrics.jsonl`.
        """
        if self._config.keep is None:
            return
        best = self._config.best
        scores = {line["round"] - 1: mean_score(line, best) for line in lines}
        whole = [c for c in self.stored() if c.round in scores and self._is_whole(c)]
        kept = {checkpoint.round for checkpoint in whole[-self._config.keep :]}
        known = {c.round: score for c in whole if (score := scores[c.round]) is not None}
        if best is not None and known:
            better = max if SCORES[best].mode == "max" else min
            kept.add(better(known, key=lambda number: known[number]))
        for checkpoint in whole:
            if checkpoint.round not in kept:
                checkpoint.thin() if self._config.networks else remove_folder(checkpoint.path)

    def sweep(self) -> None:
        """Removes the drafts and remains of a run that was killed."""
        for path in [*self.folder.glob(".round-*.tmp"), *self.folder.glob(".round-*.gone")]:
            remove_folder(path)

    @staticmethod
    def _is_whole(checkpoint: Checkpoint) -> bool:
        try:
            return checkpoint.manifest().whole
        except RunError:
            return False


def mean_score(line: Mapping[str, Any], metric: str | None) -> float | None:
    """A round's score: the mean over its domains; None where a domain has none."""
    values = [entry.get(metric) for entry in line.get("scores", {}).values()]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known and len(known) == len(values) else None


def _digest(content: Any) -> str:
    """Checksum of a JSON document, whatever the order of its keys."""
    read_back = json.loads(json.dumps(content))  # where numbers as keys have become texts
    return hashlib.sha256(json.dumps(read_back, sort_keys=True).encode()).hexdigest()
