"""Files that are written whole or not at all: safetensors for arrays, JSON for the rest, never a pickle."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from raygan.errors import RunError
from raygan.messages import Written


def write_bytes(path: Path, content: bytes) -> Written:
    """Writes a file under a temporary name, syncs it to disk and renames it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return Written(path.name, len(content), hashlib.sha256(content).hexdigest())


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
    except (OSError, ValueError) as error:
        raise RunError(
            str(path), f"cannot be read ({error})", "check the folder's name, or use another run"
        ) from None


def append_json_line(path: Path, content: Any) -> None:
    """Appends one JSON object as one line, synced to disk."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(content, allow_nan=False) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read_json_lines(path: Path) -> list[Any]:
    """Reads a JSON-lines file; a last line that was cut off by a crash is left out."""
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8").split("\n")
    return [json.loads(line) for line in lines[:-1]]


def sha256_of(path: Path) -> str:
    """Checksum of a file, hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
