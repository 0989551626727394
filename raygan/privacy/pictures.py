"""Originals and what attacks make of them, side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import Tensor

from raygan.storage import png_of

COLUMNS = 12


def comparison(title: str, rows: Mapping[str, Tensor]) -> bytes:
    """A PNG with one row of images for each name.

    Args:
        rows: at least one; each (N, C, S, S) in [-1, 1], of which the first are shown.
    """
    from matplotlib.figure import Figure  # slow to import

    strips = [_strip(images[:COLUMNS]) for images in rows.values()]
    height, width = strips[0].shape[:2]
    figure = Figure(figsize=(12, 0.35 + 0.62 * len(strips)), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(np.concatenate(strips), cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="equal")
    axes.set_yticks([height * (row + 0.5) for row in range(len(strips))], list(rows), fontsize=7)
    axes.set_xticks([])
    axes.tick_params(length=0)
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_xlim(0, width)
    return png_of(figure)


def _strip(images: Tensor) -> np.ndarray:
    """(S + 1, N (S + 1)) or (.., 3) of images (N, C, S, S): one beside the other, in [0, 1]."""
    pixels = np.pad(((images + 1) / 2).numpy(), ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=1)
    joined = np.concatenate(list(pixels), axis=2)
    return joined[0] if len(joined) == 1 else joined.transpose(1, 2, 0)
