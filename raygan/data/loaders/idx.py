"""Folders with the four idx files of a set, as MNIST and its likes are given away."""

from __future__ import annotations

import gzip
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from raygan.data.arrays import Arrays
from raygan.errors import DataError, reason

NAME = re.compile(r"(?:.*[-_.])?(train|test|t10k)[-_.](images|labels)[-_.]idx[13][-_.]ubyte(?:\.gz)?")


def idx_files(root: Path) -> dict[str, Path]:
    """The files of a folder by the names of `Arrays.checked`; none where it has no idx files."""
    found = {}
    for path in sorted(root.iterdir()) if root.is_dir() else ():
        if (match := NAME.fullmatch(path.name)) and path.is_file():
            found[f"{match[1].replace('t10k', 'test')}_{match[2]}"] = path
    return found


def load_idx(files: dict[str, Path], where: str) -> Arrays:
    """A domain of idx files of uint8; errors as `Arrays.checked`, and a DataError for a file that is cut off."""
    fields: dict[str, Any] = {name: _array(path) for name, path in files.items()}
    return Arrays.checked(where, fields)


def _array(path: Path) -> np.ndarray:
    """0, 0, 8 (uint8), the number of axes; their lengths as big-endian int32; the entries."""
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        axes = content[3]
        shape = np.frombuffer(content, ">i4", axes, offset=4)
        if content[:3] != bytes([0, 0, 8]):
            raise ValueError("its first bytes are others")
        return np.frombuffer(content, np.uint8, offset=4 + 4 * axes).reshape(shape)
    except (OSError, EOFError, ValueError, IndexError, zlib.error) as error:
        raise DataError(str(path), f"not a whole idx file of uint8 ({reason(error)})", "fetch it again") from error
