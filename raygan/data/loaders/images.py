"""Folders of pictures, one folder a class."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from raygan.data.loaders.folders import FolderSource, list_by_class
from raygan.errors import DataError, reason

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
GREY_MODES = ("1", "L", "LA", "I", "F")


def open_images(root: Path, where: str, image_size: int | None) -> FolderSource:
    """The pictures of a folder; with `image_size`, each brought to that side in pixels as it is read. Errors as
    `list_by_class`."""
    return list_by_class(root, SUFFIXES, where, partial(decode_picture, image_size=image_size))


def decode_picture(path: Path, image_size: int | None) -> np.ndarray:
    """One picture upright (EXIF), uint8 (H, W) if it is grey, else (H, W, 3); transparency is dropped.

    Raises:
        DataError: it cannot be read to its end.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as file:
            picture = _eight_bit(ImageOps.exif_transpose(file))
            if image_size is not None and picture.size != (image_size, image_size):
                picture = picture.resize((image_size, image_size), Image.Resampling.BILINEAR)
            return np.asarray(picture, dtype=np.uint8)
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        found = f"not a readable picture ({reason(error)})"
        raise DataError(str(path), found, "mend or remove it") from error


def _eight_bit(picture: Any) -> Any:
    """Grey (`L`) or RGB of any mode; pictures of 16 bits keep their upper 8."""
    from PIL import Image

    if picture.mode.startswith("I;16") or picture.mode == "I":
        return Image.fromarray(np.clip(np.asarray(picture) // 256, 0, 255).astype(np.uint8))
    return picture.convert("L" if picture.mode in GREY_MODES else "RGB")
