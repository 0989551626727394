"""A run's copy at a URI (`s3://`, `gs://`, `file://`, ...): what Ray users call a storage path.

The file systems are pyarrow's, as in Ray Train and Ray Tune. A checkpoint's manifest goes up after its files and is
taken away before them, so that a checkpoint at the URI is whole or not there; its checksums are compared when a run
is fetched back.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from raygan.errors import RunError, first_line
from raygan.run.checkpoints import MANIFEST
from raygan.storage import writing

URI = re.compile(r"[a-z][a-z0-9+.-]*://.*", re.DOTALL)
NAME = re.compile(
    r"(config\.yaml|(costs|cuts|data|domains|summary)\.json|(metrics|clusters)\.jsonl|report\.html|samples/[\w.-]+\.png|"
    r"checkpoints/round-\d{4,}/([a-z]+(-\d+)?\.safetensors|manifest\.json))"
)
"""What belongs to a run; nothing else at a URI is touched, and no name leads out of a folder."""
Stamp = tuple[int, int]
"""Size in bytes and time of the last change, ns."""


def is_uri(path: object) -> bool:
    """Whether this names a storage URI and not a local folder."""
    return isinstance(path, str) and URI.fullmatch(path) is not None


class Mirror:
    """The copy of one run.

    Args:
        uri: its folder.

    Raises:
        RunError: no file system for the URI.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        from pyarrow import fs  # most runs have no copy

        self._fs = fs
        with self._reaching():
            self._system, root = fs.FileSystem.from_uri(uri)
        self._root = root.rstrip("/")
        self._pushed: dict[str, Stamp | None] | None = None

    def names(self) -> list[str]:
        """The run's files that are there, below the URI.

        Raises:
            RunError: it cannot be reached.
        """
        selector = self._fs.FileSelector(self._root, recursive=True, allow_not_found=True)
        with self._reaching():
            infos = self._system.get_file_info(selector)
        files = [info.path for info in infos if info.type == self._fs.FileType.File]
        below = [file.removeprefix(self._root).lstrip("/") for file in files]
        return sorted(name for name in below if NAME.fullmatch(name))

    def check_new(self) -> None:
        """Nothing, if a run can begin here; nothing is left there.

        Raises:
            RunError: it holds a run already, or cannot be written to.
        """
        if self.names():
            raise RunError(self.uri, "this URI holds a run already", "choose another")
        trial = f"{self._root}/.raygan"
        with self._reaching():
            was_there = self._system.get_file_info(self._root).type != self._fs.FileType.NotFound
            self._system.create_dir(self._root, recursive=True)
            with self._system.open_output_stream(trial) as file:
                file.write(b"a trial")
            self._system.delete_file(trial)
            if not was_there:
                self._system.delete_dir(self._root)

    def push(self, folder: Path) -> None:
        """Brings the copy up to date with the run's folder: only what has changed since the last time goes up.

        Raises:
            RunError: it cannot be written; the next push tries again.
        """
        if self._pushed is None:
            self._pushed = dict.fromkeys(self.names())
        here = dict(_files(folder))
        changed = [name for name, stamp in here.items() if self._pushed.get(name) != stamp]
        with self._reaching():
            for name in sorted(changed, key=_is_manifest):
                self._upload(folder / name, name)
                self._pushed[name] = here[name]
            for name in sorted(self._pushed.keys() - here.keys(), key=_is_manifest, reverse=True):
                if name.startswith("checkpoints/"):
                    self._system.delete_file(f"{self._root}/{name}")
                    del self._pushed[name]

    def pull(self, folder: Path) -> None:
        """Fetches the run into a new folder: all of it, or nothing.

        Raises:
            RunError: there is no run, the folder is there already, or something cannot be read or written.
        """
        names = self.names()
        if "config.yaml" not in names:
            raise RunError(self.uri, "no config.yaml, so this is no run", "give the URI of a run")
        if folder.exists():
            remedy = "resume that folder, move it, or give another with --out"
            raise RunError(str(folder), f"is here already, so {self.uri} is not fetched", remedy)
        draft = folder.with_name(f".{folder.name}.fetched")
        with writing(folder):
            shutil.rmtree(draft, ignore_errors=True)
            for name in names:
                (draft / name).parent.mkdir(parents=True, exist_ok=True)
                with self._reaching(), self._system.open_input_stream(f"{self._root}/{name}") as source:
                    content = source.read()
                (draft / name).write_bytes(content)
            os.replace(draft, folder)

    def _upload(self, file: Path, name: str) -> None:
        target = f"{self._root}/{name}"
        self._system.create_dir(str(PurePosixPath(target).parent), recursive=True)
        self._fs.copy_files(str(file), target, self._fs.LocalFileSystem(), self._system)

    @contextmanager
    def _reaching(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError, KeyError, NotImplementedError) as error:  # pyarrow's are all of these
            found = f"cannot be used ({first_line(error)[:200]})"
            raise RunError(self.uri, found, "check the URI and your rights there") from None


def _files(folder: Path) -> Iterator[tuple[str, Stamp]]:
    """The run's files and when they were changed; of a checkpoint that is being removed meanwhile, what is left."""
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if NAME.fullmatch(name) and not path.is_symlink() and path.is_file():
            found = path.stat()
            yield name, (found.st_size, found.st_mtime_ns)


def _is_manifest(name: str) -> bool:
    return name.endswith(f"/{MANIFEST}")
