"""Sample grids: one PNG, one row a class, so that a person sees at a glance what a generator can do."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from raygan.evaluation.images import Images, Labels, as_images, as_labels, as_uint8, scaled
from raygan.storage import replace_file

CELL_PIXELS = 56
"""Images are enlarged by a whole factor to at least this side, so that pixels stay square and sharp."""
GAP, MARGIN = 3, 12
SCREEN_PIXELS, LEAST_ROWS = 1080, 10
"""A picture is as high as a screen at most, but where the images of so many classes are higher."""
MAX_NAME = 40
"""Characters of a class's name."""
BACKGROUND, INK = (255, 255, 255), (40, 40, 40)
TEXT_SIZE, TITLE_SIZE = 15, 18


def rows_of_a_screen(num_classes: int, side: int) -> list[int]:
    """Labels of the classes that are drawn, of images of `side` pixels: all, or as many as a screen has room for, evenly
    spaced."""
    room = max(LEAST_ROWS, (SCREEN_PIXELS - TITLE_SIZE - 3 * MARGIN) // (side + GAP))
    if num_classes <= room:
        return list(range(num_classes))
    return [row * num_classes // room for row in range(room)]


def of_classes(rows: Sequence[int], num_classes: int) -> str:
    """For a title: how many classes are not drawn, if any."""
    return "" if len(rows) == num_classes else f" ({len(rows)} of {num_classes:,} classes)"


def sample_grid(
    images: Images,
    labels: Labels,
    path: str | os.PathLike[str],
    class_names: Sequence[str] | None = None,
    title: str | None = None,
    columns: int = 10,
) -> Path:
    """Draw images as a PNG grid: a row for each label that occurs, in order, up to `columns` images each.

    Args:
        images: in any form of `as_images`.
        labels: integers (N,), >= 0.
        path: the PNG, which is returned; its folder is made, and it appears whole or not at all.
        class_names: name of label 0, 1, ...; written left of the rows. A label without one is written
            as its number.
        title: one line above the grid.

    Raises:
        DataError: images or labels of another form.
    """
    tensor = as_images(images)
    numbers = as_labels(labels, len(tensor), num_classes=2**31).numpy()
    pixels = as_uint8(scaled(tensor)).permute(0, 2, 3, 1).numpy()
    classes = [int(label) for label in np.unique(numbers)]
    rows = [pixels[numbers == label][:columns] for label in classes]
    known = dict(enumerate(class_names or ()))
    names = [_shortened(str(known.get(label, label))) for label in classes]
    content = io.BytesIO()
    _compose(rows, names, title).save(content, format="PNG")
    replace_file(Path(path), content.getvalue())
    return Path(path)


def _shortened(name: str) -> str:
    return name if len(name) <= MAX_NAME else name[: MAX_NAME - 3] + "..."


def _compose(rows: Sequence[npt.NDArray[np.uint8]], names: Sequence[str], title: str | None) -> Image.Image:
    """Rows (n_i, H, W, C) with their names on one picture."""
    height, width = rows[0].shape[1:3]
    text, heading = ImageFont.load_default(TEXT_SIZE), ImageFont.load_default(TITLE_SIZE)
    top = MARGIN + (TITLE_SIZE + MARGIN if title else 0)
    factor = max(1, -(-CELL_PIXELS // max(height, width)))
    while factor > 1 and top + len(rows) * (factor * height + GAP) > SCREEN_PIXELS:
        factor -= 1
    cell_h, cell_w = factor * height, factor * width
    left = 2 * MARGIN + int(max(text.getlength(name) for name in names))
    grid_w = max(len(row) for row in rows) * (cell_w + GAP) - GAP
    title_w = int(heading.getlength(title)) + 2 * MARGIN if title else 0
    size = (max(left + grid_w + MARGIN, title_w), top + len(rows) * (cell_h + GAP) - GAP + MARGIN)
    picture = Image.new("RGB", size, BACKGROUND)
    draw = ImageDraw.Draw(picture)
    if title:
        draw.text((MARGIN, MARGIN), title, fill=INK, font=heading)
    for number, (row, name) in enumerate(zip(rows, names, strict=True)):
        y = top + number * (cell_h + GAP)
        draw.text((left - MARGIN, y + cell_h // 2), name, fill=INK, font=text, anchor="rm")
        for column, image in enumerate(row):
            cell = Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)
            cell = cell.resize((cell_w, cell_h), Image.Resampling.NEAREST)
            picture.paste(cell, (left + column * (cell_w + GAP), y))
    return picture
