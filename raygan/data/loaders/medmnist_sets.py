"""2D sets of MedMNIST, through the `medmnist` package (extra `medmnist`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from raygan.data.arrays import Arrays
from raygan.data.loaders.download import open_or_download
from raygan.errors import DataError, known_names


def load_medmnist(name: str, root: Path, download: bool, where: str) -> Arrays:
    """The train and test parts of a set at 28x28; its validation part is left out.

    Raises:
        DataError: the package is missing, no such 2D set with one label an image, or its file is not in `root` (and
            cannot be downloaded), or is corrupt.
    """
    medmnist = _package(where)
    info = _info(medmnist.INFO, name.lower(), where)
    parts = {part: _open(medmnist, info, part, root, download, where) for part in ("train", "test")}
    fields: dict[str, Any] = {"classes": [info["label"][str(label)] for label in range(len(info["label"]))]}
    for part, dataset in parts.items():
        fields[f"{part}_images"], fields[f"{part}_labels"] = dataset.imgs, dataset.labels.reshape(-1)
    return Arrays.checked(where, fields)


def _package(where: str) -> Any:
    try:
        import medmnist
    except ImportError as error:
        remedy = "install it with: pip install 'raygan[medmnist]'"
        raise DataError(where, "the package medmnist is not installed", remedy) from error
    return medmnist


def _info(known: dict[str, dict[str, Any]], name: str, where: str) -> dict[str, Any]:
    usable = [key for key, info in known.items() if "3d" not in key and "multi-label" not in info["task"]]
    if name in usable:
        return known[name]
    if name in known:
        kind = "3D images" if "3d" in name else "several labels an image"
        raise DataError(where, f"has {kind}", f"use a 2D set with one label: {', '.join(usable)}")
    raise DataError(where, "no such MedMNIST set", known_names(name, usable))


def _open(medmnist: Any, info: dict[str, Any], part: str, root: Path, download: bool, where: str) -> Any:
    build = getattr(medmnist, info["python_class"])
    return open_or_download(lambda fetch: build(split=part, root=str(root), download=fetch), root, download, where)
