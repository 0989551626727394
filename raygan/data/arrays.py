"""A domain in memory and a domain in outline, both checked: whoever holds one may rely on its form.

Legend: N images, H W space, C channels (1 or 3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from raygan.errors import DataError

GROUP_PREFIX = "train_"
FORM = "uint8 images (N, H, W) or (N, H, W, 3) and whole-number labels (N,) from 0"


@dataclass(frozen=True)
class Outline:
    """A domain without its images: what the driver may hold.

    Attributes:
        train_labels: (num_train,) int64, each in 0 .. len(classes) - 1.
        num_test: test images.
        image_size: (H, W) in pixels as stored; of the first image where a folder's images differ.
        channels: 1 (grey) or 3 (RGB).
        classes: a name for each label.
        groups: arrays (num_train,) of a natural partition's values, by name.
    """

    train_labels: np.ndarray
    num_test: int
    image_size: tuple[int, int]
    channels: int
    classes: tuple[str, ...]
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)


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

    def limited(self, limit: int | None) -> TrainView:
        """The same with at most `limit` images, drawn evenly (see `evenly`)."""
        chosen = evenly(self.labels, limit)
        groups = {name: values[chosen] for name, values in self.groups.items()}
        return TrainView(
            self.labels[chosen], groups, self.classes, lambda indices: self.read(chosen[indices])
        )


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
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    classes: tuple[str, ...]
    groups: Mapping[str, np.ndarray] = field(default_factory=dict)

    @staticmethod
    def checked(where: str, fields: Mapping[str, Any]) -> Arrays:
        """Arrays from the names of an `.npz` file, checked.

        Args:
            where: the file or key that errors name.
            fields: `train_images`, `train_labels`, `test_images`, `test_labels`; perhaps `classes` (else the
                labels' numbers) and groups, each as `train_NAME` (N,).

        Raises:
            DataError: a missing name, a wrong dtype or shape, labels out of range, or no images.
        """
        values = {name: np.asarray(required(where, fields, name)) for name in REQUIRED}
        for part in ("train", "test"):
            check_images(
                where, f"{part}_images", values[f"{part}_images"].shape, values[f"{part}_images"].dtype
            )
        check_same_form(where, values["train_images"].shape, values["test_images"].shape)
        classes, labels = checked_labels(
            where, fields, len(values["train_images"]), len(values["test_images"])
        )
        groups = {
            name.removeprefix(GROUP_PREFIX): np.asarray(value)
            for name, value in fields.items()
            if is_group(name, np.shape(value), len(labels["train"]))
        }
        return Arrays(
            values["train_images"], labels["train"], values["test_images"], labels["test"], classes, groups
        )

    def outline(self) -> Outline:
        """The same domain without its images."""
        height, width, channels = image_form(self.train_images.shape)
        return Outline(
            self.train_labels, len(self.test_labels), (height, width), channels, self.classes, self.groups
        )

    def train_view(self) -> TrainView:
        """The training part of the domain."""
        return TrainView(
            self.train_labels, self.groups, self.classes, lambda indices: self.train_images[indices]
        )

    def limited(self, limit: int | None) -> Arrays:
        """The same domain with at most `limit` training images, drawn evenly (see `evenly`)."""
        if limit is None or limit >= len(self.train_labels):
            return self
        chosen = evenly(self.train_labels, limit)
        groups = {name: values[chosen] for name, values in self.groups.items()}
        return Arrays(
            self.train_images[chosen],
            self.train_labels[chosen],
            self.test_images,
            self.test_labels,
            self.classes,
            groups,
        )


REQUIRED = ("train_images", "train_labels", "test_images", "test_labels")


def evenly(labels: np.ndarray, limit: int | None) -> np.ndarray:
    """Sorted indices of `limit` of the images, evenly spaced within each class and over the classes as they
    are in `labels` (N,); of all images when there are no more than that.

    Spacing through the file alone would lose classes of a file whose labels repeat in turn.
    """
    if limit is None or limit >= len(labels):
        return np.arange(len(labels))
    by_class = np.argsort(labels, kind="stable")
    return np.sort(by_class[np.arange(limit, dtype=np.int64) * len(labels) // limit])


def required(where: str, fields: Mapping[str, Any], name: str) -> Any:
    """`fields[name]`, or a DataError that says which arrays a domain needs."""
    if name not in fields:
        raise DataError(where, f"no array {name!r}", f"give {', '.join(REQUIRED)}")
    return fields[name]


def is_group(name: str, shape: tuple[int, ...], num_train: int) -> bool:
    """Whether an array is a natural partition's: `train_NAME`, one value a training image."""
    return name.startswith(GROUP_PREFIX) and name not in REQUIRED and shape == (num_train,)


def image_form(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """(H, W, C) of images of that shape."""
    return (shape[1], shape[2], 1) if len(shape) == 3 else (shape[1], shape[2], shape[3])


def check_images(where: str, name: str, shape: tuple[int, ...], dtype: np.dtype) -> None:
    """Refuse images that are not uint8 (N, H, W[, 1 or 3]) with at least one image of at least one pixel."""
    if dtype != np.uint8:
        raise DataError(where, f"{name} is {dtype}, not uint8", "store pixels as uint8 from 0 to 255")
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)):
        raise DataError(where, f"{name} has the shape {shape}", f"give {FORM}")
    if 0 in shape:
        raise DataError(where, f"{name} holds no images (shape {shape})", "give at least one image")


def check_same_form(where: str, train: tuple[int, ...], test: tuple[int, ...]) -> None:
    """Refuse test images of another size or number of channels than the training images."""
    if image_form(train) != image_form(test):
        found = f"training images are {image_form(train)} and test images {image_form(test)} (H, W, C)"
        raise DataError(where, found, "bring both to one size and number of channels")


def checked_labels(
    where: str, fields: Mapping[str, Any], num_train: int, num_test: int
) -> tuple[tuple[str, ...], dict[str, np.ndarray]]:
    """The class names and the int64 labels of both parts.

    Raises:
        DataError: not whole numbers, not one a image, or outside 0 .. len(classes) - 1.
    """
    labels = {}
    for part, count in (("train", num_train), ("test", num_test)):
        name, values = f"{part}_labels", np.asarray(required(where, fields, f"{part}_labels"))
        if values.dtype.kind not in "iu":
            raise DataError(where, f"{name} is {values.dtype}, not whole numbers", f"give {FORM}")
        if values.shape != (count,):
            found = f"{name} has the shape {values.shape} for {count} images in {part}_images"
            raise DataError(where, found, "give one label an image")
        labels[part] = values.astype(np.int64)
    classes = _class_names(where, fields, labels)
    for part, values in labels.items():
        if values.min() < 0 or values.max() >= len(classes):
            found = f"{part}_labels run from {values.min()} to {values.max()} for {len(classes)} classes"
            raise DataError(where, found, f"use labels from 0 to {len(classes) - 1}")
    return classes, labels


def _class_names(where: str, fields: Mapping[str, Any], labels: dict[str, np.ndarray]) -> tuple[str, ...]:
    if "classes" not in fields:
        return tuple(str(label) for label in range(int(labels["train"].max()) + 1))
    names = np.asarray(fields["classes"])
    if names.ndim != 1 or names.size == 0:
        raise DataError(where, f"classes has the shape {names.shape}", "give one name a class")
    return tuple(str(name) for name in names)
