"""Images and labels as the scores take them: checked once, scaled in one place.

Shapes: N images, C channels (1 or 3), H x W pixels. Two forms are taken: uint8 0..255, as files hold them,
and float32 in [-1, 1], as generators give them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from raygan.errors import DataError

Images = npt.NDArray[np.generic] | torch.Tensor
Labels = npt.NDArray[np.generic] | torch.Tensor
ImageShape = tuple[int, int, int]
"""(C, H, W)."""

BATCH_SIZE = 500
"""Images in one pass through a generator or a classifier: bounds the memory of every score."""
CHANNELS = (1, 3)
RANGE_TOLERANCE = 1e-3


def as_images(images: Images, where: str = "images") -> torch.Tensor:
    """The images as one tensor (N, C, H, W), dtype kept (uint8 or float32); nothing is scaled.

    Args:
        images: uint8 0..255 or float in [-1, 1]; (N, H, W), (N, H, W, C) or (N, C, H, W). Sides are at
            least 8, so an axis of 1 or 3 is the channel axis.
        where: what to call them in an error.

    Raises:
        DataError: another dtype, another shape, sides that are below 8 or not divisible by 4, no image.
    """
    tensor = torch.as_tensor(images)
    if tensor.dtype != torch.uint8:
        if not tensor.dtype.is_floating_point:
            raise DataError(where, f"dtype {tensor.dtype}", "pass uint8 (0..255) or float32 in [-1, 1]")
        tensor = tensor.to(torch.float32)
    if tensor.dim() == 3:
        tensor = tensor.unsqueeze(1)
    elif tensor.dim() == 4 and tensor.shape[1] not in CHANNELS and tensor.shape[3] in CHANNELS:
        tensor = tensor.permute(0, 3, 1, 2)
    found = f"shape {tuple(tensor.shape)}"
    if tensor.dim() != 4 or tensor.shape[1] not in CHANNELS:
        raise DataError(where, found, "pass (N, H, W), (N, H, W, C) or (N, C, H, W) with C = 1 or 3")
    if min(tensor.shape[2:]) < 8 or any(side % 4 for side in tensor.shape[2:]):
        raise DataError(where, found, "give images whose height and width are at least 8 and divisible by 4")
    if len(tensor) == 0:
        raise DataError(where, "no images", "give at least one image")
    return tensor


def image_shape_of(images: torch.Tensor) -> ImageShape:
    """(C, H, W) of images (N, C, H, W)."""
    _, channels, height, width = images.shape
    return channels, height, width


def scaled(batch: torch.Tensor, where: str = "images") -> torch.Tensor:
    """A batch from `as_images` as float32 in [-1, 1]: uint8 x becomes x / 127.5 - 1.

    Raises:
        DataError: float values that are not finite or lie outside [-1, 1].
    """
    if batch.dtype == torch.uint8:
        return batch.to(torch.float32) / 127.5 - 1
    low, high = (float(bound) for bound in batch.aminmax())
    if not (low >= -1 - RANGE_TOLERANCE and high <= 1 + RANGE_TOLERANCE):  # also catches NaN
        raise DataError(where, f"float values from {low:.4g} to {high:.4g}", "scale them to [-1, 1]")
    return batch


def as_uint8(batch: torch.Tensor) -> torch.Tensor:
    """A float batch in [-1, 1] as uint8 0..255, rounded: what a PNG of it would hold."""
    return ((batch + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def as_labels(labels: Labels, num_images: int, num_classes: int, where: str = "labels") -> torch.Tensor:
    """The labels as an int64 tensor (N,), one for each image, all in 0..num_classes-1.

    Raises:
        DataError: not integers, another length than `num_images`, a label out of range.
    """
    tensor = torch.as_tensor(labels)
    if tensor.dtype.is_floating_point or tensor.dtype == torch.bool:
        raise DataError(where, f"dtype {tensor.dtype}", "pass integers")
    if tensor.shape != (num_images,):
        raise DataError(where, f"shape {tuple(tensor.shape)}", f"pass one for each of the {num_images} images")
    tensor = tensor.to(torch.int64)
    low, high = int(tensor.min()), int(tensor.max())
    if low < 0 or high >= num_classes:
        found = f"labels from {low} to {high}"
        raise DataError(where, found, f"number the {num_classes} classes 0..{num_classes - 1}")
    return tensor
