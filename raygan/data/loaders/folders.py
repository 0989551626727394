"""Folders of files by class: the layout that pictures and recordings share, read file by file.

    ROOT/CLASS/file            a sixth of each class is held out for testing, the same files every time
    ROOT/train/CLASS/file      with ROOT/test/CLASS/file, or without it as above

The parts may be called `Train` or `training`, `testing`, and `val`, `valid` or `validation`, which tests where there is
no `test/` and is left out where there is one. Classes are the folders' names in sorted order; an empty folder is a class
without images here. Files lie at any depth below; what is hidden, or not a file (pipes, broken links), is skipped.
"""

from __future__ import annotations

import os
import unicodedata
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from raygan.data.arrays import Arrays, Outline, TrainView
from raygan.data.found import Found, counted, size_range, skipped
from raygan.errors import DataError, reason

HELD_OUT = 6  # one file in this many is for testing
IGNORED = ("__MACOSX", "@eaDir")  # what archives and network drives leave behind
PARTS = {"train": ("train", "training"), "test": ("test", "testing"), "val": ("val", "valid", "validation")}
LFS_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class Decoded:
    """One file as a picture, and what is to be said of it."""

    pixels: np.ndarray
    """uint8 (H, W) or (H, W, 3)."""
    form: str
    """What the file held: `16-bit grey`."""
    size: tuple[int, int]
    """(H, W) as stored."""
    odd: str | None = None
    """What is odd about it."""
    highest: float | None = None
    """The largest of its stored values; None: nobody needs it."""


Decode = Callable[[Path], Decoded]
"""Reads a file; raises DataError for one that it cannot read."""


@dataclass(frozen=True)
class Tally:
    """What all files of a domain are like."""

    forms: Counter[str]
    odd: Counter[str]
    highest: dict[str, float]
    """By form, the largest stored value of all files."""


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
    skipped: str = ""
    notes: tuple[str, ...] = ()
    judge: Callable[[Tally], None] = lambda tally: None
    """Refuses files of a kind that cannot be told apart from others by themselves."""

    def outline(self) -> Outline:
        """Every file is read once, one at a time, so that a broken one is found here."""
        channels, checksum, sizes, shown = 1, 0, set(), None
        tally = Tally(Counter(), Counter(), {})
        for number, path in enumerate((*self.train_files, *self.test_files)):
            one = self.decode(path)
            shown = shown or one.pixels.shape[:2]
            channels = max(channels, one.pixels.ndim * 2 - 3)  # (H, W): 1, (H, W, 3): 3
            sizes.add(one.size)
            tally.forms[one.form] += 1
            tally.odd.update([one.odd] if one.odd else [])
            if one.highest is not None:
                tally.highest[one.form] = max(tally.highest.get(one.form, 0), one.highest)
            if number < len(self.train_files):
                checksum = zlib.crc32(np.ascontiguousarray(one.pixels).data, checksum)
        self.judge(tally)
        assert shown is not None
        notes = (*self.notes, *(f"{count:,} {text}" for text, count in tally.odd.most_common()))
        found = Found(size_range(sizes), counted(tally.forms), self.skipped, notes)
        size = (shown[0], shown[1])
        labels, num_test = self.train_labels, len(self.test_labels)
        return Outline(labels, num_test, size, channels, self.classes, self.groups, checksum, found)

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
        pictures = [self.decode(path).pixels for path in paths]
        if any(picture.ndim == 3 for picture in pictures):
            pictures = [p if p.ndim == 3 else np.repeat(p[..., None], 3, axis=2) for p in pictures]
        sizes = sorted({picture.shape[:2] for picture in pictures})
        if len(sizes) > 1:
            found = f"images of {len(sizes)} sizes, such as {sizes[0]} and {sizes[-1]} (H, W)"
            raise DataError(self.where, found, "bring them to one size, or load them with image_size")
        return np.stack(pictures)


def list_by_class(root: Path, suffixes: Sequence[str], where: str, decode: Decode, one_class: bool) -> FolderSource:
    """The files below `root` with one of `suffixes` (lower case, with the dot).

    Args:
        one_class: whether the user has said that one class is meant.

    Raises:
        DataError: no such folder, no class folders, a class of other files only, a class of `test/` that is not in
            `train/`, or a layout that can be read in two ways.
    """
    check_folder(root, where)
    parts, notes = _parts(root, where)
    base, left_out = parts.get("train", root), Counter[str]()
    folders = _class_folders(base, suffixes, where)
    _check_layout(root, base, folders, suffixes, where, one_class)
    by_class = [_files(folder, suffixes, left_out) for folder in folders.values()]
    for folder, files in zip(folders.values(), by_class, strict=True):
        if not files and any(_visible(folder)):
            found = f"the class folder {folder.name!r} holds no {' '.join(suffixes)} file"
            raise DataError(where, found, "fill it or remove it; leave it empty where the class has no images here")
    if "test" in parts or "val" in parts:
        test_folder = parts.get("test") or parts["val"]
        test = _test_files(test_folder, list(folders), suffixes, where, left_out)
        train: Sequence[Sequence[Path]] = by_class
        if "test" not in parts:
            notes.append(f"{test_folder.name}/ is used for testing")
        elif "val" in parts:
            left_out["of " + parts["val"].name + "/"] += sum(1 for _ in _with_suffix(parts["val"], suffixes))
    else:
        train, test = hold_out(by_class)
    if "train" in parts:
        beside = [path for path in _visible(root) if path not in parts.values() and path.is_dir()]
        left_out[f"folders beside {base.name}/"] += len(beside)
    loose = sum(path.suffix.lower() in suffixes and path.is_file() for path in _visible(base))
    left_out["outside of class folders"] += loose
    source = listing(where, decode, train, test, list(folders))
    return replace(source, skipped=skipped(+left_out), notes=tuple(notes))


def listing(
    where: str,
    decode: Decode,
    train: Sequence[Sequence[Path]],
    test: Sequence[Sequence[Path]],
    classes: list[str],
) -> FolderSource:
    """A source from the files of each class; refuses one without test files."""
    if not any(train):
        raise DataError(where, "no files for training", "put files into its class folders")
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


def unreadable(path: Path, kind: str, error: Exception) -> DataError:
    """What a user reads of a file that is not what its name says."""
    with path.open("rb") as file:
        if file.read(len(LFS_POINTER)) == LFS_POINTER:
            return DataError(str(path), "a Git LFS pointer, not the file itself", "fetch it with: git lfs pull")
    return DataError(str(path), f"not a readable {kind} ({reason(error)})", "mend or remove it")


def files_below(folder: Path, left_out: Counter[str]) -> Iterator[Path]:
    """Every visible file, at any depth; what else there is, is counted."""
    for place, folders, names in os.walk(folder):
        here = Path(place)
        left_out["linked folders"] += sum((here / name).is_symlink() for name in folders if not _is_hidden(name))
        left_out["hidden folders"] += sum(map(_is_hidden, folders))
        folders[:] = [name for name in folders if not _is_hidden(name)]
        for name in names:
            path = here / name
            if _is_hidden(name):
                left_out["hidden files"] += 1
            elif path.is_file():
                yield path
            else:
                left_out["broken links" if path.is_symlink() else "pipes or devices"] += 1


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name in IGNORED


def _visible(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not _is_hidden(path.name))


def _folders(base: Path) -> list[Path]:
    return [path for path in _visible(base) if path.is_dir()]


def _parts(root: Path, where: str) -> tuple[dict[str, Path], list[str]]:
    """The folders of training, test and validation, where there is one for training; and what is to be said of them.

    Raises:
        DataError: one is there twice, or training has no class folders.
    """
    named: dict[str, Path] = {}
    for path in _folders(root):
        part = next((part for part, names in PARTS.items() if path.name.lower() in names), None)
        if part in named:
            raise DataError(where, f"both {named[part].name}/ and {path.name}/ are in it", "keep one of them")
        if part:
            named[part] = path
    others = [path for path in _folders(root) if path not in named.values()]
    if "train" not in named:
        if named and not others:
            shown = ", ".join(f"{path.name}/" for path in named.values())
            raise DataError(where, f"{shown} but no train/ in it", "add train/, with one folder a class")
        return {}, []
    if not _folders(named["train"]):
        if len(named) == 1 and others:  # a class that is called so
            return {}, []
        raise DataError(where, f"no class folders in {named['train'].name}/", "make one folder a class in it")
    flat = [part for part, path in named.items() if not _folders(path)]
    notes = [f"{named[part].name}/ has no class folders and is left out" for part in flat]
    return {part: path for part, path in named.items() if part not in flat}, notes


def _class_folders(base: Path, suffixes: Sequence[str], where: str) -> dict[str, Path]:
    """The folders by their names in sorted order; a name's accents are one character each, as on most systems."""
    folders = {unicodedata.normalize("NFC", path.name): path for path in _folders(base)}
    if folders:
        return dict(sorted(folders.items()))
    loose = [path for path in _visible(base) if path.suffix.lower() in suffixes]
    if not loose:
        raise DataError(where, "no class folders in it", "make one folder a class")
    tables = [path.name for path in _visible(base) + _visible(base.parent) if path.suffix.lower() in (".csv", ".tsv")]
    hint = f" ({tables[0]} is there)" if tables else ""
    found = f"{len(loose):,} files, but no class folders in it"
    raise DataError(where, found, f"make one folder a class, or give csv: a table of their labels{hint}")


def _check_layout(
    root: Path, base: Path, folders: Mapping[str, Path], suffixes: Sequence[str], where: str, one_class: bool
) -> None:
    """Refuses what may be meant in two ways.

    Raises:
        DataError: names them.
    """
    below = {name: [path.name for path in _folders(folder)] for name, folder in folders.items()}
    first, inner = next(iter(below.items()))
    if len(folders) == 1 and len(inner) > 1 and not one_class:
        direct = any(path.suffix.lower() in suffixes for path in _visible(folders[first]))
        if not direct:
            shown = ", ".join(inner[:3])
            found = f"one class, {first!r}, whose folders ({shown}) may be what is meant"
            raise DataError(where, found, f"give {folders[first]}, or classes: [{first}] if it is one class")
    parts = [name for name, inner in below.items() if any(_is_part(path) for path in inner)]
    if base == root and len(parts) == len(below):
        inner = below[parts[0]]
        found = f"the class {parts[0]!r} is itself divided ({', '.join(inner[:3])})"
        raise DataError(where, found, "put the parts first: train/CLASS/ and test/CLASS/")


def _is_part(name: str) -> bool:
    return any(name.lower() in names for names in PARTS.values())


def _with_suffix(folder: Path, suffixes: Sequence[str]) -> Iterator[Path]:
    return (path for path in files_below(folder, Counter()) if path.suffix.lower() in suffixes)


def _files(folder: Path, suffixes: Sequence[str], left_out: Counter[str]) -> list[Path]:
    chosen = []
    for path in files_below(folder, left_out):
        if path.suffix.lower() in suffixes:
            chosen.append(path)
        else:
            left_out[f"other files ({path.suffix.lower() or 'no ending'})"] += 1
    return sorted(chosen)


def _test_files(
    base: Path, classes: list[str], suffixes: Sequence[str], where: str, left_out: Counter[str]
) -> list[list[Path]]:
    folders = _class_folders(base, suffixes, where)
    extra = sorted(set(folders) - set(classes))
    if extra:
        raise DataError(where, f"the class {extra[0]!r} is in {base.name}/ but not in train/", "add it to train/")
    return [_files(folders[name], suffixes, left_out) if name in folders else [] for name in classes]


def _numbered(by_class: Sequence[Sequence[Path]]) -> tuple[tuple[Path, ...], np.ndarray]:
    labels = np.repeat(np.arange(len(by_class)), [len(files) for files in by_class])
    return tuple(path for files in by_class for path in files), labels
