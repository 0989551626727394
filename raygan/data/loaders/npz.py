"""`.npz` files, and the embedded sample, which is two of them."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from raygan.data.arrays import (
    GROUP_PREFIX,
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

Header = tuple[tuple[int, ...], np.dtype]


def demo_file(name: str) -> Path:
    """The file of an embedded sample."""
    return DEMO_FOLDER / f"{name}.npz"


@dataclass(frozen=True)
class NpzFile:
    """One file with the names of `Arrays.checked`. Pickled arrays are never read."""

    path: Path
    where: str

    def load(self) -> Arrays:
        """The whole file in memory.

        Raises:
            DataError: the file is missing, corrupt, or of another form.
        """
        self._check_there()
        try:
            with np.load(self.path, allow_pickle=False) as file:
                fields = {name: file[name] for name in file.files if _is_wanted(name)}
        except CORRUPT as error:
            raise self._corrupt(error) from error
        return Arrays.checked(self.where, fields)

    def outline(self) -> Outline:
        """The file without its images: of these, only headers are read and checksums compared, in a stream.

        Raises:
            DataError: as `load`.
        """
        self._check_there()
        try:
            headers = _headers(self.path)
            with np.load(self.path, allow_pickle=False) as file:
                small = {n for n in headers if _is_wanted(n) and not n.endswith("_images")}
                fields = {name: file[name] for name in small}
        except CORRUPT as error:
            raise self._corrupt(error) from error
        return _outline(self.where, headers, fields)

    def _check_there(self) -> None:
        if not self.path.is_file():
            found = "a folder" if self.path.is_dir() else "no such file"
            remedy = "give the path of an .npz file with " + ", ".join(REQUIRED)
            raise DataError(self.where, found, remedy)
        if not zipfile.is_zipfile(self.path):
            raise self._corrupt(zipfile.BadZipFile("cut off, or no zip archive"))

    def _corrupt(self, error: Exception) -> DataError:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        found = f"not a whole .npz file of plain arrays ({reason})"
        return DataError(self.where, found, "write it again with numpy.savez")


def _headers(path: Path) -> dict[str, Header]:
    """Shape and dtype of each array, once every member's checksum has been compared."""
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
        if broken is not None:
            raise zipfile.BadZipFile(f"wrong checksum in {broken}")
        return {name.removesuffix(".npy"): _header(archive, name) for name in archive.namelist()}


def _outline(where: str, headers: dict[str, Header], fields: dict[str, Any]) -> Outline:
    for name in REQUIRED:
        required(where, headers, name)
        if name.endswith("_images"):
            check_images(where, name, *headers[name])
    train, test = headers["train_images"][0], headers["test_images"][0]
    check_same_form(where, train, test)
    classes, labels = checked_labels(where, fields, train[0], test[0])
    groups = {
        name.removeprefix(GROUP_PREFIX): array
        for name, array in fields.items()
        if is_group(name, array.shape, train[0])
    }
    height, width, channels = image_form(train)
    return Outline(labels["train"], test[0], (height, width), channels, classes, groups)


def _header(archive: zipfile.ZipFile, name: str) -> Header:
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
    return name in (*REQUIRED, "classes") or name.startswith(GROUP_PREFIX)
