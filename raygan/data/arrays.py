"""A domain in memory and a domain in outline, both checked: whoever holds one may rely on its form.

Legend: N images, H W space, C channels (1 or 3).
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from raygan.data.classes import Names, numbers_of
from raygan.data.found import NOTHING, Found
from raygan.errors import DataError

GROUP_PREFIX = "train_"
MAX_GAPS = 32  # numbers between labels that do not occur, where classes are known by numbers only
FORM = "uint8 images (N, H, W) or (N, H, W, 3) and whole-number labels (N,) from 0"


@dataclass(frozen=True)
class DomainInfo:
    """What the driver knows of a domain before any actor starts.

    Attributes:
        num_train: training images, after `limit`.
        num_test: test images.
        image_size: (H, W) in pixels as stored; of the first image where a folder's images differ.
        channels: 1 (grey) or 3 (RGB).
        classes: a name for each label.
        class_counts: training images of each class, after `limit`.
        digest: of training labels and images, by which other data is told from the same; None: of a run that did not
            keep it. It is no image: nobody can read one from it.
    """

    num_train: int
    num_test: int
    image_size: tuple[int, int]
    channels: int
    classes: tuple[str, ...]
    class_counts: tuple[int, ...]
    digest: str | None = None


@dataclass(frozen=True)
class Outline:
    """A domain without its images: what the driver may hold. Fields as those of `DomainInfo` and `Arrays`."""

    train_labels: np.ndarray
    num_test: int
    image_size: tuple[int, int]
    channels: int
    classes: tuple[str, ...]
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    checksum: int = 0
    """Of all training images, as their source has them."""
    found: Found = NOTHING
    """What is to be said of its files."""

    def numbered(self, names: Names | None, where: str) -> Outline:
        """The same with labels numbered as in `names` (`numbers_of`); None: unchanged."""
        if names is None or names == self.classes:
            return self
        return replace(self, train_labels=numbers_of(self.classes, names, where)[self.train_labels], classes=names)

    def class_counts(self, indices: np.ndarray | slice = slice(None)) -> tuple[int, ...]:
        """Training images of each class, of all or of some of the images."""
        return tuple(np.bincount(self.train_labels[indices], minlength=len(self.classes)).tolist())

    def info(self) -> DomainInfo:
        """Its numbers."""
        labels, counts = self.train_labels, self.class_counts()
        digest = hashlib.sha256(labels.astype("<i8").tobytes() + self.checksum.to_bytes(8, "little")).hexdigest()
        return DomainInfo(len(labels), self.num_test, self.image_size, self.channels, self.classes, counts, digest)

    def limited(self, limit: int | None) -> Outline:
        """The same with at most `limit` training images, drawn evenly (see `evenly`)."""
        chosen = evenly(self.train_labels, limit)
        return replace(self, train_labels=self.train_labels[chosen], groups=_picked(self.groups, chosen))


@dataclass(frozen=True, eq=False)
class TrainView:
    """A domain's training images, not all of which need be in memory. Equal to itself only.

    Attributes:
        labels: (N,) int64.
        groups: arrays (N,) of a natural partition's values, by name.
        classes: a name for each label.
        read: indices -> their images, uint8 (len(indices), H, W) or (len(indices), H, W, C).
    """

    labels: np.ndarray
    groups: Mapping[str, np.ndarray]
    classes: tuple[str, ...]
    read: Callable[[np.ndarray], np.ndarray]

    def numbered(self, names: Names | None, where: str) -> TrainView:
        """As `Outline.numbered`."""
        if names is None or names == self.classes:
            return self
        return replace(self, labels=numbers_of(self.classes, names, where)[self.labels], classes=names)

    def limited(self, limit: int | None) -> TrainView:
        """As `Outline.limited`."""
        chosen = evenly(self.labels, limit)
        groups = _picked(self.groups, chosen)
        return TrainView(self.labels[chosen], groups, self.classes, lambda some: self.read(chosen[some]))


@dataclass(frozen=True)
class Arrays:
    """A whole domain in memory.

    Attributes:
        train_images: uint8 (N, H, W) or (N, H, W, C), 0 to 255.
        train_labels: int64 (N,), each in 0 .. len(classes) - 1.
        test_images: as `train_images`, of the same H, W and C.
        test_labels: as `train_labels`.
        classes: a name for each label.
        groups: arrays (N,) of a natural partition's values over the training images, by name.
        notes: what is to be said of them.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @staticmethod
    def checked(where: str, fields: Mapping[str, Any]) -> Arrays:
        """Arrays from the names of an `.npz` file, checked.

        Args:
            fields: `train_images`, `train_labels`, `test_images`, `test_labels`; perhaps `classes` (else the
                labels' numbers) and groups, each as `train_NAME` (N,). Labels may be (N, 1), as MedMNIST has them, and
                names may be Keras's (`x_train`); a validation part (`val_images`) tests where there is no other.

        Raises:
            DataError: a missing name, a wrong dtype or shape, labels out of range or with too many gaps, or no images.
        """
        fields, notes = _usual_names(fields)
        for name in REQUIRED:
            if name not in fields:
                raise DataError(where, f"no array {name!r}", f"give {', '.join(REQUIRED)}")
        train, test = (np.asarray(fields[f"{part}_images"]) for part in ("train", "test"))
        _check_images(where, "train_images", train)
        _check_images(where, "test_images", test)
        if image_form(train) != image_form(test):
            found = f"training images are {image_form(train)} and test images {image_form(test)} (H, W, C)"
            raise DataError(where, found, "bring both to one size and number of channels")
        train_labels = _whole_numbers(where, "train", fields, len(train))
        test_labels = _whole_numbers(where, "test", fields, len(test))
        classes, train_labels, test_labels = _named(where, fields, train_labels, test_labels)
        if classes and classes[0] == "1" and "classes" not in fields:
            notes = (*notes, "labels run from 1: class '1' has the number 0")
        _check_range(where, "train", train_labels, len(classes))
        _check_range(where, "test", test_labels, len(classes))
        groups = {
            name.removeprefix(GROUP_PREFIX): np.asarray(value)
            for name, value in fields.items()
            if name.startswith(GROUP_PREFIX) and name not in REQUIRED and np.shape(value) == train_labels.shape
        }
        return Arrays(train, train_labels, test, test_labels, classes, groups, notes)

    def numbered(self, names: Names | None, where: str) -> Arrays:
        """As `Outline.numbered`."""
        if names is None or names == self.classes:
            return self
        numbers = numbers_of(self.classes, names, where)
        train, test = numbers[self.train_labels], numbers[self.test_labels]
        return replace(self, train_labels=train, test_labels=test, classes=names)

    def outline(self) -> Outline:
        """The same domain without its images."""
        outline = self.form()
        return replace(outline, checksum=zlib.crc32(np.ascontiguousarray(self.train_images).data))

    def form(self) -> Outline:
        """As `outline`, without looking at the images."""
        height, width, channels = image_form(self.train_images)
        form = "8-bit RGB" if channels == 3 else "8-bit grey"
        found = Found(f"{height}x{width}", form, notes=self.notes)
        num_test, classes, groups = len(self.test_labels), self.classes, self.groups
        return Outline(self.train_labels, num_test, (height, width), channels, classes, groups, found=found)

    def train_view(self) -> TrainView:
        """The training part of the domain."""
        return TrainView(self.train_labels, self.groups, self.classes, lambda some: self.train_images[some])

    def limited(self, limit: int | None) -> Arrays:
        """As `Outline.limited`."""
        if limit is None or limit >= len(self.train_labels):
            return self
        chosen = evenly(self.train_labels, limit)
        images, labels = self.train_images[chosen], self.train_labels[chosen]
        return replace(self, train_images=images, train_labels=labels, groups=_picked(self.groups, chosen))


REQUIRED = ("train_images", "train_labels", "test_images", "test_labels")
KERAS = {"x_train": "train_images", "y_train": "train_labels", "x_test": "test_images", "y_test": "test_labels"}
VALIDATION = {"val_images": "test_images", "val_labels": "test_labels"}
OTHER_NAMES = (*KERAS, *VALIDATION)


def usual_name(name: str, known: Collection[str]) -> str:
    """What an array of a file is called here: Keras's names are others, and a validation part tests where `known`, all
    names of the file, has no other."""
    names = {**KERAS, **({} if {"test_images", "x_test"} & set(known) else VALIDATION)}
    new = names.get(name, name)
    return name if new in known else new


def evenly(labels: np.ndarray, limit: int | None) -> np.ndarray:
    """Sorted indices of `limit` of the images, evenly spaced within each class and over the classes as they
    are in `labels` (N,), since spacing through the file alone could lose classes; of all when there are no more."""
    if limit is None or limit >= len(labels):
        return np.arange(len(labels))
    by_class = np.argsort(labels, kind="stable")
    return np.sort(by_class[np.arange(limit, dtype=np.int64) * len(labels) // limit])


def image_form(images: np.ndarray) -> tuple[int, int, int]:
    """(H, W, C) of images (N, H, W) or (N, H, W, C)."""
    return (*images.shape[1:3], 1) if images.ndim == 3 else images.shape[1:]


def _usual_names(fields: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The arrays by the names of `REQUIRED`, and what is to be said of that."""
    renamed = {usual_name(name, fields): value for name, value in fields.items()}
    if "val_images" in renamed:
        return renamed, (f"its validation part ({len(renamed['val_images']):,} images) is left out",)
    return renamed, ("its validation part is used for testing",) if "val_images" in fields else ()


def _picked(groups: Mapping[str, np.ndarray], chosen: np.ndarray) -> dict[str, np.ndarray]:
    return {name: values[chosen] for name, values in groups.items()}


def _check_images(where: str, name: str, images: np.ndarray) -> None:
    """Refuses images that are not uint8 (N, H, W[, 1 or 3]) with at least one image of at least one pixel."""
    if images.dtype != np.uint8:
        raise DataError(where, f"{name} is {images.dtype}, not uint8", "store pixels as uint8 from 0 to 255")
    if images.ndim not in (3, 4) or (images.ndim == 4 and images.shape[3] not in (1, 3)):
        raise DataError(where, f"{name} has the shape {images.shape}", f"give {FORM}")
    if images.size == 0:
        raise DataError(where, f"{name} holds no images (shape {images.shape})", "give at least one image")


def _whole_numbers(where: str, part: str, fields: Mapping[str, Any], num_images: int) -> np.ndarray:
    """The int64 labels of a part, one an image."""
    name, values = f"{part}_labels", np.asarray(fields[f"{part}_labels"])
    if values.dtype.kind not in "iu":
        raise DataError(where, f"{name} is {values.dtype}, not whole numbers", f"give {FORM}")
    if values.shape == (num_images, 1):
        values = values[:, 0]
    if values.shape != (num_images,):
        found = f"{name} has the shape {values.shape} for {num_images} images in {part}_images"
        raise DataError(where, found, "give one label an image")
    return values.astype(np.int64)


def _check_range(where: str, part: str, labels: np.ndarray, num_classes: int) -> None:
    if labels.min() < 0 or labels.max() >= num_classes:
        found = f"{part}_labels run from {labels.min()} to {labels.max()} for {num_classes} classes"
        raise DataError(where, found, f"use labels from 0 to {num_classes - 1}")


def _named(
    where: str, fields: Mapping[str, Any], train: np.ndarray, test: np.ndarray
) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    """Names of the classes, and the labels from 0. Without `classes`, a class is called by its number, as it is given.

    Raises:
        DataError: labels so far apart that most classes would have no image.
    """
    if "classes" in fields:
        names = np.asarray(fields["classes"])
        if names.ndim != 1 or names.size == 0:
            raise DataError(where, f"classes has the shape {names.shape}", "give one name a class")
        return tuple(str(name) for name in names), train, test
    occurring = np.unique(np.concatenate([train, test]))
    first, last = int(occurring[0]), int(train.max())
    if first not in (0, 1):
        first = 0
    if last - first + 1 - len(occurring) > MAX_GAPS:
        shown = ", ".join(map(str, (*occurring[:3], "...", *occurring[-2:]) if len(occurring) > 5 else occurring))
        found = f"its {len(occurring)} labels ({shown}) run up to {last}, so most classes would have no image"
        raise DataError(where, found, "mend the labels that are strays, or number them from 0")
    return tuple(str(label) for label in range(first, last + 1)), train - first, test - first
