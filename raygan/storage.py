"""Files that are written whole or not at all: safetensors for arrays, JSON for the rest, never a pickle.

What cannot be written (a full disk, a folder that was locked) is a `RunError` that says so on one line.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from raygan.errors import RunError
from raygan.wire.records import Written

CHUNK_BYTES = 2**20
ARRAY_NAME = re.compile(r"(generator|discriminator|average)\.(\d{1,6})\.(.+)")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Around whatever writes a file or folder of a run.

    Raises:
        RunError: it could not be written; names the file and why.
    """
    try:
        yield
    except OSError as error:
        found = f"cannot be written ({error.strerror or error})"
        remedy = "free or unlock its disk; a run goes on after its last checkpoint with --resume"
        raise RunError(str(path), found, remedy) from None


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Waits for other processes that are in here with the same folder, which is made.

    Where files cannot be made or locked, nobody is waited for.
    """
    with ExitStack() as held:
        with suppress(OSError, ImportError):
            import fcntl  # not on Windows

            folder.mkdir(parents=True, exist_ok=True)
            fcntl.flock(held.enter_context((folder / ".lock").open("w")), fcntl.LOCK_EX)
        yield


def sync_folder(path: Path) -> None:
    """Syncs the names in a folder to disk; on systems that cannot open folders this does nothing."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, content: bytes | Iterable[bytes | memoryview]) -> None:
    """Writes a file under a temporary name, syncs it to disk, renames it and syncs the name.

    Args:
        content: all of it, or its parts in order.

    Raises:
        OSError: it cannot be written; what was there before is still there.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with temporary.open("wb") as file:
            file.writelines([content] if isinstance(content, bytes) else content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_bytes(path: Path, content: bytes) -> Written:
    """As `replace_file`.

    Raises:
        RunError: it cannot be written.
    """
    with writing(path):
        replace_file(path, content)
    return Written(path.name, len(content), hashlib.sha256(content).hexdigest())


def png_of(figure: Any) -> bytes:
    """A picture of a matplotlib figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def leave_gone_folder() -> None:
    """Goes to the root where the current folder is gone, as a job's may be: libraries ask for it when they are imported
    (`torch._dynamo.config`)."""
    try:
        os.getcwd()
    except FileNotFoundError:
        os.chdir(os.sep)


def remove_folder(path: Path) -> None:
    """Takes a folder's name away first, so that nobody finds half of it, and then what is in it."""
    if path.exists():
        gone = path.with_name(f".{path.name.lstrip('.')}.gone")
        shutil.rmtree(gone, ignore_errors=True)
        os.replace(path, gone)
        shutil.rmtree(gone, ignore_errors=True)


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> Written:
    """Writes named arrays as safetensors."""
    return write_bytes(
        path, save({name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()})
    )


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Reads a safetensors file.

    Raises:
        RunError: it is missing or damaged.
    """
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(str(path), f"cannot be read ({error})", "use another round or run") from None


def block_states(arrays: Mapping[str, np.ndarray], network: str) -> dict[int, dict[str, np.ndarray]]:
    """Block -> parameters and buffers of a network in a model's file, whose arrays are `network.block.name`.

    Raises:
        RunError: an array has another name.
    """
    states: dict[int, dict[str, np.ndarray]] = {}
    for full_name, array in arrays.items():
        found = ARRAY_NAME.fullmatch(full_name)
        if found is None:
            raise RunError("a model's file", f"has an array named {full_name[:60]!r}", "use another round or run")
        if found[1] == network:
            states.setdefault(int(found[2]), {})[found[3]] = array
    return states


def write_json(path: Path, content: Any) -> Written:
    """Writes a JSON document."""
    return write_bytes(path, (json.dumps(content, indent=1, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Reads a JSON document.

    Raises:
        RunError: it is missing or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(str(path), f"cannot be read ({error})", "check the folder's name, or use another run") from None


def append_json_line(path: Path, content: Any) -> None:
    """Appends one JSON object as one line, synced to disk.

    Raises:
        RunError: it cannot be written; `read_json_lines` leaves out a line that was cut off.
    """
    with writing(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(content, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_json_lines(path: Path) -> list[Any]:
    """Reads a JSON-lines file; a last line that was cut off by a crash is left out.

    Raises:
        RunError: it cannot be read, or a line before the last is damaged.
    """
    lines, damaged = whole_json_lines(path)
    if damaged is not None:
        raise RunError(f"{path}:{damaged}", "this line is damaged", "restore the file, or resume the run")
    return lines


def whole_json_lines(path: Path) -> tuple[list[Any], int | None]:
    """The objects of a JSON-lines file before the first damaged line, and that line's number (from 1) or None.

    A last line without its end is not damage: it was being written. A file that is not there has no lines.

    Raises:
        RunError: it cannot be read.
    """
    if not path.exists():
        return [], None
    try:
        lines = path.read_bytes().split(b"\n")[:-1]
    except OSError as error:
        raise RunError(str(path), f"cannot be read ({error.strerror})", "check the file's rights") from None
    found: list[Any] = []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError):  # not UTF-8 or not JSON
            return found, number
        if not isinstance(entry, dict):
            return found, number
        found.append(entry)
    return found, None


def sha256_of(path: Path) -> str:
    """Checksum of a file, hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(CHUNK_BYTES):
            digest.update(part)
    return digest.hexdigest()


def check_makeable(folder: Path) -> None:
    """Nothing, if a folder is there and can be written to, or can be made.

    Raises:
        RunError: it is neither.
    """
    path = folder.absolute()
    above = next(parent for parent in (path, *path.parents) if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise RunError(str(folder), f"cannot be made: {above} cannot be written to", "choose another --out")
