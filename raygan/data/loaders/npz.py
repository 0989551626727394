"""`.npz` files, and the embedded sample, which is two of them."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from raygan.data.arrays import (
    REQUIRED,
    Arrays,
    Outline,
    check_images,
    check_same_form,
    checked_labels,
    image_form,
    is_group,
    required,
)
from raygan.errors import DataError

DEMO_FOLDER = Path(__file__).parents[1] / "demo"
DEMO_NAMES = ("demo_mnist", "demo_fashion_mnist")

# What numpy and zipfile raise for a file that is cut off, overwritten or not a zip at all.
CORRUPT = (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, NotImplementedError)


def demo_file(name: str) -> Path:
    """The file of an embedded sample."""
    return DEMO_FOLDER / f"{name}.npz"


def load_npz(path: Path, where: str) -> Arrays:
    """The whole file in memory. Pickled arrays are never read.

    Raises:
        DataError: the file is missing, corrupt, or not in the form of README, "Data".
    """
    _check_there(path, where)
    try:
        with np.load(path, allow_pickle=False) as file:
            fields = {name: file[name] for name in file.files if _is_wanted(name)}
    except CORRUPT as error:
        raise _corrupt(where, error) from error
    return Arrays.checked(where, fields)


def outline_npz(path: Path, where: str) -> Outline:
    """The file without its images: of these, only headers are read and checksums compared, in a stream.

    Raises:
        DataError: as `load_npz`.
    """
    _check_there(path, where)
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
            if broken is not None:
                raise zipfile.BadZipFile(f"wrong checksum in {broken}")
            headers = {Path(name).stem: _header(archive, name) for name in archive.namelist()}
        with np.load(path, allow_pickle=False) as file:
            fields = {
                name: file[name] for name in headers if _is_wanted(name) and not name.endswith("_images")
            }
    except CORRUPT as error:
        raise _corrupt(where, error) from error
    return _outline(where, headers, fields)


def _outline(
    where: str, headers: dict[str, tuple[tuple[int, ...], np.dtype]], fields: dict[str, Any]
) -> Outline:
    for name in REQUIRED:
        required(where, headers, name)
        if name.endswith("_images"):
            check_images(where, name, *headers[name])
    train, test = headers["train_images"][0], headers["test_images"][0]
    check_same_form(where, train, test)
    classes, labels = checked_labels(where, fields, train[0], test[0])
    groups = {name[6:]: array for name, array in fields.items() if is_group(name, array.shape, train[0])}
    height, width, channels = image_form(train)
    return Outline(labels["train"], test[0], (height, width), channels, classes, groups)


def _header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and dtype of one array, checked against the size of its member."""
    with archive.open(name) as member:
        version = np.lib.format.read_magic(member)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(member)
        expected = member.tell() + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if not dtype.hasobject and archive.getinfo(name).file_size != expected:
        raise zipfile.BadZipFile(f"{name} has another length than its header says")
    return shape, dtype


def _is_wanted(name: str) -> bool:
    return name in (*REQUIRED, "classes") or name.startswith("train_")


def _check_there(path: Path, where: str) -> None:
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "no such file"
        raise DataError(where, found, "give the path of an .npz file with " + ", ".join(REQUIRED))


def _corrupt(where: str, error: Exception) -> DataError:
    reason = " ".join(str(error).split())[:160] or type(error).__name__
    return DataError(
        where, f"not a whole .npz file of plain arrays ({reason})", "write it again with numpy.savez"
    )
