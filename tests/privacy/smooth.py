"""Small images that differ from each other everywhere and know nothing of their labels."""

from __future__ import annotations

import torch

from raygan.privacy.sight import Images

NUM_CLASSES = 4


def smooth(count: int, seed: int, side: int = 12) -> Images:
    """Random 3 x 3 grids, enlarged; labels are drawn."""
    generator = torch.Generator().manual_seed(seed)
    grids = torch.rand(count, 1, 3, 3, generator=generator) * 2 - 1
    images = torch.nn.functional.interpolate(grids, size=(side, side), mode="bilinear", align_corners=True)
    return Images(images, torch.randint(NUM_CLASSES, (count,), generator=generator))
