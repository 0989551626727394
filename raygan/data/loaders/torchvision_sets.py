"""Sets that torchvision keeps, in the files of their authors under `data.root`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from raygan.data.arrays import Arrays
from raygan.data.loaders.download import open_or_download
from raygan.data.loaders.npz import DEMO_NAMES
from raygan.errors import DataError, known_names

EMNIST_SPLITS = ("balanced", "byclass", "bymerge", "letters", "digits", "mnist")
CLASSES = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST", "usps": "USPS"}
CLASSES |= {"cifar10": "CIFAR10", "svhn": "SVHN", "emnist": "EMNIST"}
CLASSES |= {f"emnist_{split}": "EMNIST" for split in EMNIST_SPLITS}
ALIASES = {"fashionmnist": "fashion_mnist", "fmnist": "fashion_mnist"}


def canonical_name(name: str, where: str) -> str:
    """The set's name as in `CLASSES`, or a DataError; case and dashes do not matter."""
    plain = name.lower().replace("-", "_")
    plain = ALIASES.get(plain, plain)
    if plain in CLASSES:
        return plain
    if plain.startswith("notmnist"):
        remedy = "make an .npz file of it and give that as {npz: notmnist.npz}"
        raise DataError(where, "torchvision has no notMNIST", remedy)
    raise DataError(where, "no such set", known_names(plain, [*DEMO_NAMES, *CLASSES]))


def load_torchvision(name: str, root: Path, download: bool, where: str) -> Arrays:
    """The official train and test parts of a set (of SVHN without `extra`).

    EMNIST is turned upright, and its letters are numbered from 0.

    Raises:
        DataError: no such set, or its files are not in `root` (and cannot be downloaded), or are corrupt.
    """
    plain = canonical_name(name, where)
    parts = {train: _open(plain, root, train, download, where) for train in (True, False)}
    fields: dict[str, Any] = {"classes": _class_names(plain, parts[True])}
    for part, dataset in (("train", parts[True]), ("test", parts[False])):
        fields[f"{part}_images"] = _images(plain, dataset)
        fields[f"{part}_labels"] = _labels(plain, dataset)
    return Arrays.checked(where, fields)


def _open(plain: str, root: Path, train: bool, download: bool, where: str) -> Any:
    from torchvision import datasets

    options: dict[str, Any] = {"split": "train" if train else "test"} if plain == "svhn" else {"train": train}
    if CLASSES[plain] == "EMNIST":
        options["split"] = plain.partition("_")[2] or "balanced"
    build = getattr(datasets, CLASSES[plain])
    return open_or_download(lambda fetch: build(str(root), download=fetch, **options), root, download, where)


def _images(plain: str, dataset: Any) -> np.ndarray:
    images = np.asarray(dataset.data)
    if plain == "svhn":
        return images.transpose(0, 2, 3, 1)  # from (N, 3, H, W)
    if CLASSES[plain] == "EMNIST":
        return images.transpose(0, 2, 1)  # its files hold columns where others hold rows
    return images


def _labels(plain: str, dataset: Any) -> np.ndarray:
    labels = np.asarray(dataset.labels if plain == "svhn" else dataset.targets, dtype=np.int64)
    return labels - 1 if plain == "emnist_letters" else labels


def _class_names(plain: str, dataset: Any) -> list[str]:
    names = [str(name) for name in getattr(dataset, "classes", map(str, range(10)))]
    return names[1:] if plain == "emnist_letters" else names
