"""The one shape of a federation: how domains of different channels, sizes and numbers of classes are brought
together. This is the only place that does it.

1. Channels. grey -> RGB: the grey plane three times. RGB -> grey: ITU-R 601 luma,
   0.299 R + 0.587 G + 0.114 B, rounded. (`model.channels`; by default 3 if any domain is in colour, else 1.)
2. Size. Images of another size than `model.image_size` x `model.image_size` are resized to it, bilinear with
   antialiasing; the ratio of the sides is not kept. Images that have the size already are untouched.
   (Pictures of a folder are resized as they are read, before 1.)
3. Range. 0 .. 255 becomes -1 .. 1: pixel / 127.5 - 1. Done per batch; in memory images stay uint8.
4. Classes. Domains that have names of classes in common number them alike (`raygan/data/classes.py`). The networks
   know as many classes as the domain with most; label c of one domain and label c of another share an embedding, and
   a domain simply never asks for labels that it has not got.

Legend: N images, C channels, H W space.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from raygan.config.schema import Config, DataConfig, DomainConfig, ModelConfig
from raygan.data.arrays import DomainInfo

LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
CHUNK = 4096  # images at a time in float, to bound memory


@dataclass(frozen=True)
class CommonShape:
    """What every domain of a run is brought to."""

    image_size: int
    """Height and width, pixels."""
    channels: int
    """1 (grey) or 3 (RGB)."""
    num_classes: int
    """Classes of the domain with most."""


def common_shape(model: ModelConfig, infos: Iterable[DomainInfo]) -> CommonShape:
    """The run's shape: the configuration's size and channels (or the domains' most), the most classes."""
    known = list(infos)
    channels = model.channels or max(info.channels for info in known)
    return CommonShape(model.image_size, channels, max(len(info.classes) for info in known))


@dataclass(frozen=True)
class ClientSlice:
    """Which images are a client's, without any image: this is what crosses to its actor."""

    domain: DomainConfig
    """Where the domain is, and how many clients share it."""
    data: DataConfig
    """The partition, and where libraries keep their sets."""
    domain_index: int
    """The domain's place in `data.domains`."""
    client_index_in_domain: int
    """The client's place among its domain's, from 0; of one that joined later, among those that did with it."""
    num_clients: int
    """Clients of the domain, or those that joined with it."""
    seed: int
    """The run's."""
    shape: CommonShape
    """What its images are brought to."""
    numbers: tuple[int, ...] = ()
    """The run's label for each of the domain's own; empty: the same. No name of another site's class is told."""
    dealt_before: tuple[int, ...] = ()
    """Clients of the domain that were there before (`Member`)."""


def client_slices(
    config: Config, infos: Sequence[DomainInfo], numbers: Sequence[tuple[int, ...]] | None = None
) -> list[ClientSlice]:
    """The description of every client that is there, by number.

    Args:
        numbers: of each domain, as `ClientSlice` has them; None: all are their own.
    """
    shape, data = common_shape(config.model, infos), config.data
    return [
        ClientSlice(
            domain=data.domains[member.domain],
            data=data,
            domain_index=member.domain,
            client_index_in_domain=member.place,
            num_clients=member.dealt_with,
            seed=config.seed,
            shape=shape,
            numbers=numbers[member.domain] if numbers else (),
            dealt_before=member.dealt_before,
        )
        for member in data.members
    ]


def to_shape(images: np.ndarray, image_size: int, channels: int) -> np.ndarray:
    """Images uint8 (N, H, W) or (N, H, W, 1 or 3) in the run's shape: uint8 (N, channels, image_size, image_size),
    contiguous."""
    planes = images[..., None] if images.ndim == 3 else images
    if planes.shape[3] == 3 and channels == 1:
        planes = _luma(planes)
    if planes.shape[1:3] != (image_size, image_size):
        planes = _resized(planes, image_size)
    if planes.shape[3] == 1 and channels == 3:
        planes = np.repeat(planes, 3, axis=3)
    return np.ascontiguousarray(planes.transpose(0, 3, 1, 2))


def to_float(images: np.ndarray) -> np.ndarray:
    """uint8 0 .. 255 to float32 -1 .. 1, of the same shape."""
    return images.astype(np.float32) / np.float32(127.5) - np.float32(1)


def to_bytes(images: np.ndarray) -> np.ndarray:
    """The inverse of `to_float`, rounded: -1 .. 1 to uint8."""
    return np.clip(np.rint((images + 1) * 127.5), 0, 255).astype(np.uint8)


def _luma(planes: np.ndarray) -> np.ndarray:
    grey = np.empty((*planes.shape[:3], 1), dtype=np.uint8)
    for start in range(0, len(planes), CHUNK):
        part = slice(start, start + CHUNK)
        grey[part, ..., 0] = np.rint(planes[part] @ LUMA)
    return grey


def _resized(planes: np.ndarray, size: int) -> np.ndarray:
    from PIL import Image

    result = np.empty((len(planes), size, size, planes.shape[3]), dtype=np.uint8)
    for index, plane in enumerate(planes):
        picture = Image.fromarray(plane[..., 0] if plane.shape[2] == 1 else np.ascontiguousarray(plane))
        pixels = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR))
        result[index] = pixels.reshape(size, size, planes.shape[3])
    return result
