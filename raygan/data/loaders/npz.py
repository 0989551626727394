"""`.npz` files, and the embedded sample, which is two of them."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from raygan.data.arrays import GROUP_PREFIX, OTHER_NAMES, REQUIRED, Arrays, Outline, usual_name
from raygan.data.loaders.folders import LFS_POINTER
from raygan.errors import DataError, reason

DEMO_FOLDER = Path(__file__).parents[1] / "demo"
DEMO_NAMES = ("demo_mnist", "demo_fashion_mnist")

IDX = bytes([0, 0, 8])  # the first bytes of an idx file of uint8

# What numpy and zipfile raise for a file that is cut off, overwritten or not a zip at all.
CORRUPT = (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, NotImplementedError)


@dataclass(frozen=True)
class NpzFile:
    """One file with the names of `Arrays.checked`. Pickled arrays are never read."""

    path: Path
    where: str

    def load(self) -> Arrays:
        """The whole file in memory. Raises DataError: the file is missing, corrupt, or of another form."""
        self._check_there()
        try:
            with np.load(self.path, allow_pickle=False) as file:
                fields = {name: file[name] for name in file.files if _is_wanted(name)}
        except CORRUPT as error:
            raise self._corrupt(error) from error
        return Arrays.checked(self.where, fields)

    def outline(self) -> Outline:
        """The file without its images: of these, only headers are read and checksums compared, in a stream. Errors as
        `load`."""
        self._check_there()
        try:
            fields = _without_entries(self.path)
            with np.load(self.path, allow_pickle=False) as file:
                small = {n for n in fields if _is_wanted(n) and not usual_name(n, ()).endswith("_images")}
                fields |= {name: file[name] for name in small}
            with zipfile.ZipFile(self.path) as archive:
                images = next((name for name in fields if usual_name(name, fields) == "train_images"), None)
                checksum = 0 if images is None else archive.getinfo(f"{images}.npy").CRC
        except CORRUPT as error:
            raise self._corrupt(error) from error
        return replace(Arrays.checked(self.where, fields).form(), checksum=checksum)

    def _check_there(self) -> None:
        if not self.path.is_file():
            found = "a folder" if self.path.is_dir() else "no such file"
            remedy = "give the path of an .npz file with " + ", ".join(REQUIRED)
            raise DataError(self.where, found, remedy)
        if not zipfile.is_zipfile(self.path):
            with self.path.open("rb") as file:
                start = file.read(len(LFS_POINTER))
            if start == LFS_POINTER:
                found = "a Git LFS pointer, not the file itself"
                raise DataError(self.where, found, "fetch it with: git lfs pull")
            if start[:3] == IDX:
                raise DataError(self.where, "an idx file", "give the folder of the set's four idx files as images:")
            raise self._corrupt(zipfile.BadZipFile("cut off, or no zip archive"))

    def _corrupt(self, error: Exception) -> DataError:
        found = f"not a whole .npz file of plain arrays ({reason(error)})"
        return DataError(self.where, found, "write it again with numpy.savez")


def _without_entries(path: Path) -> dict[str, np.ndarray]:
    """Arrays of the shapes and dtypes that the file has, all zero, once every member's checksum has been compared."""
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
        if broken is not None:
            raise zipfile.BadZipFile(f"wrong checksum in {broken}")
        return {name.removesuffix(".npy"): _header(archive, name) for name in archive.namelist()}


def _header(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """Zeros of one array's shape and dtype, checked against the size of its member; they take no memory."""
    with archive.open(name) as member:
        version = np.lib.format.read_magic(member)
        format = np.lib.format
        read = format.read_array_header_1_0 if version == (1, 0) else format.read_array_header_2_0
        shape, _, dtype = read(member)
        expected = member.tell() + int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    if not dtype.hasobject and archive.getinfo(name).file_size != expected:
        raise zipfile.BadZipFile(f"{name} has another length than its header says")
    return np.broadcast_to(np.zeros((), dtype), shape)


def _is_wanted(name: str) -> bool:
    return name in (*REQUIRED, *OTHER_NAMES, "classes") or name.startswith(GROUP_PREFIX)
