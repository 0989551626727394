"""Folders of files by class: the layout that pictures and recordings share, read file by file.

    ROOT/CLASS/file            a sixth of each class is held out for testing, the same files every time
    ROOT/train/CLASS/file      with ROOT/test/CLASS/file, or without it as above

Classes are the folders' names in sorted order; files lie at any depth below; hidden ones are skipped.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from raygan.data.arrays import Arrays, Outline, TrainView
from raygan.errors import DataError

HELD_OUT = 6  # one file in this many is for testing


Decode = Callable[[Path], np.ndarray]
"""File -> uint8 (H, W) or (H, W, 3); raises DataError for a file that it cannot read."""


@dataclass(frozen=True)
class FolderSource:
    """The files of a domain, before any is read, and how one of them becomes a picture."""

    where: str
    decode: Decode
    train_files: tuple[Path, ...]
    train_labels: np.ndarray
    test_files: tuple[Path, ...]
    test_labels: np.ndarray
    classes: tuple[str, ...]
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)

    def outline(self) -> Outline:
        """Every file is read once, one at a time, so that a broken one is found here."""
        first, channels, checksum = self.decode(self.train_files[0]), 1, 0
        for number, path in enumerate((*self.train_files, *self.test_files)):
            image = self.decode(path)
            channels = max(channels, image.ndim * 2 - 3)  # (H, W): 1, (H, W, 3): 3
            if number < len(self.train_files):
                checksum = zlib.crc32(np.ascontiguousarray(image).data, checksum)
        size = (first.shape[0], first.shape[1])
        return Outline(self.train_labels, len(self.test_files), size, channels, self.classes, self.groups, checksum)

    def load(self) -> Arrays:
        """All files in memory."""
        pictures = self._stack((*self.train_files, *self.test_files))
        train, test = np.split(pictures, [len(self.train_files)])
        return Arrays(train, self.train_labels, test, self.test_labels, self.classes, self.groups)

    def train_view(self) -> TrainView:
        """The training files, each read when it is asked for: a client reads its own only."""
        return TrainView(
            self.train_labels,
            self.groups,
            self.classes,
            lambda indices: self._stack([self.train_files[index] for index in indices]),
        )

    def _stack(self, paths: Sequence[Path]) -> np.ndarray:
        pictures = [self.decode(path) for path in paths]
        if any(picture.ndim == 3 for picture in pictures):
            pictures = [p if p.ndim == 3 else np.repeat(p[..., None], 3, axis=2) for p in pictures]
        sizes = sorted({picture.shape[:2] for picture in pictures})
        if len(sizes) > 1:
            found = f"images of {len(sizes)} sizes, such as {sizes[0]} and {sizes[-1]} (H, W)"
            raise DataError(self.where, found, "bring them to one size, or load them with image_size")
        return np.stack(pictures)


def list_by_class(root: Path, suffixes: Sequence[str], where: str, decode: Decode) -> FolderSource:
    """The files below `root` with one of `suffixes` (lower case, with the dot).

    Raises:
        DataError: no such folder, no class folders, a class without files, or a class of `test/` that is not in
            `train/`.
    """
    check_folder(root, where)
    parts = root / "train", root / "test"
    base = parts[0] if parts[0].is_dir() else root
    classes = _class_names(base, where)
    by_class = [_files(base / name, suffixes) for name in classes]
    for name, files in zip(classes, by_class, strict=True):
        if not files:
            found = f"the class folder {name!r} holds no {' '.join(suffixes)} file"
            raise DataError(where, found, "fill it or remove it")
    if parts[0].is_dir() and parts[1].is_dir():
        train, test = by_class, _test_files(parts[1], classes, suffixes, where)
    else:
        train, test = hold_out(by_class)
    return listing(where, decode, train, test, classes)


def listing(
    where: str,
    decode: Decode,
    train: Sequence[Sequence[Path]],
    test: Sequence[Sequence[Path]],
    classes: list[str],
) -> FolderSource:
    """A source from the files of each class; refuses one without test files."""
    if not any(test):
        raise DataError(where, "no files for testing", "give a test/ folder or at least 2 files a class")
    (train_files, train_labels), (test_files, test_labels) = _numbered(train), _numbered(test)
    return FolderSource(where, decode, train_files, train_labels, test_files, test_labels, tuple(classes))


def hold_out(by_class: Sequence[Sequence[Path]]) -> tuple[list[list[Path]], list[list[Path]]]:
    """(train, test) files of each class: a sixth, at least one of two, drawn by a fixed seed."""
    train, test = [], []
    for label, files in enumerate(by_class):
        count = max(round(len(files) / HELD_OUT), 1) if len(files) > 1 else 0
        held = set(np.random.default_rng([0, label]).permutation(len(files))[:count].tolist())
        train.append([path for index, path in enumerate(files) if index not in held])
        test.append([path for index, path in enumerate(files) if index in held])
    return train, test


def check_folder(root: Path, where: str) -> None:
    """Refuse what is not a folder."""
    if not root.is_dir():
        found = "a file, not a folder" if root.exists() else "no such folder"
        raise DataError(where, found, "give the path of a folder")


def _class_names(base: Path, where: str) -> list[str]:
    names = sorted(path.name for path in base.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not names:
        raise DataError(where, "no class folders in it", "make one folder a class")
    return names


def _files(folder: Path, suffixes: Sequence[str]) -> list[Path]:
    return sorted(
        path for path in folder.rglob("*") if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )


def _test_files(base: Path, classes: list[str], suffixes: Sequence[str], where: str) -> list[list[Path]]:
    extra = sorted(set(_class_names(base, where)) - set(classes))
    if extra:
        raise DataError(where, f"the class {extra[0]!r} is in test/ but not in train/", "add it to train/")
    return [_files(base / name, suffixes) for name in classes]


def _numbered(by_class: Sequence[Sequence[Path]]) -> tuple[tuple[Path, ...], np.ndarray]:
    labels = np.repeat(np.arange(len(by_class)), [len(files) for files in by_class])
    return tuple(path for files in by_class for path in files), labels
