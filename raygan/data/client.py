"""What a client's actor holds: a description comes in, its images stay here.

Legend: N images, B batch, C channels, H W space.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from raygan.config.schema import DataConfig, DomainConfig, Partition
from raygan.data.arrays import TrainView
from raygan.data.classes import Names
from raygan.data.partition import deal_in_turn
from raygan.data.shape import ClientSlice, CommonShape, to_float, to_shape
from raygan.data.source import CACHED_DOMAINS, clear_caches, domain_label, load_domain, train_view
from raygan.errors import DataError


@dataclass(frozen=True)
class ImageSet:
    """Images and labels in the run's shape.

    Attributes:
        images: uint8 (N, C, H, W), 0 to 255. A laptop may hold hundreds of clients, so they become float only
            in a batch.
        labels: int64 (N,).
        num_classes: classes that the networks know.
        classes: names of the domain's own classes, which may be fewer.
    """

    images: np.ndarray
    labels: np.ndarray
    num_classes: int
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Some of the images: float32 (B, C, H, W) in [-1, 1], and their labels, int64 (B,)."""
        return to_float(self.images[indices]), self.labels[indices]

    def epoch_batches(self, rng: np.random.Generator, batch_size: int) -> list[np.ndarray]:
        """One pass in random order: index arrays of `batch_size`.

        The rest that does not fill a batch sits this pass out (another rest each pass); with fewer images
        than one batch, all of them are the one batch.
        """
        order = rng.permutation(len(self))
        size = min(batch_size, len(self))
        return [order[start : start + size] for start in range(0, len(self) - size + 1, size)]


def load_client(description: ClientSlice) -> ImageSet:
    """The client's images, read where this is called; clients of one domain in one process read it once. Errors as
    `load_domain` and `deal_in_turn`."""
    d = description
    view = train_view(d.domain, d.data, d.shape.image_size)
    where = f"data.domains[{d.domain_index}] ({domain_label(d.domain)})"
    partition, most = d.data.partition, d.data.images_per_client
    dealt = _dealt(view, (*d.dealt_before, d.num_clients), partition, d.seed, d.domain_index, where, most)
    mine = dealt[sum(d.dealt_before) + d.client_index_in_domain]
    labels = view.labels[mine]
    if d.numbers:
        if len(d.numbers) != len(view.classes):
            found = f"{len(view.classes)} classes, {len(d.numbers)} when the run was planned"
            raise DataError(where, found, "give the data that the run began with, or train a new run")
        labels = np.array(d.numbers)[labels]
    return _image_set(view.read(mine), labels, view.classes, d.shape)


@lru_cache(maxsize=CACHED_DOMAINS)
def _dealt(
    view: TrainView,
    num_clients: tuple[int, ...],
    partition: Partition,
    seed: int,
    domain_index: int,
    where: str,
    images_per_client: int | None,
) -> list[np.ndarray]:
    """`deal_in_turn`, once for all clients of a domain in this process."""
    return deal_in_turn(view.labels, num_clients, partition, seed, domain_index, view.groups, where, images_per_client)


def forget_domains() -> None:
    """Free the domains that this process keeps; an actor calls it once its clients have their images."""
    clear_caches()
    _dealt.cache_clear()


def image_set(
    domain: DomainConfig,
    data: DataConfig,
    shape: CommonShape,
    part: Literal["train", "test"],
    classes: Names | None = None,
) -> ImageSet:
    """All training or all test images of a domain in the run's shape, for the evaluator; errors as `load_domain`.

    Args:
        classes: names of the run's labels; None: the domain's own.
    """
    arrays = load_domain(domain, data, shape.image_size).numbered(classes, domain_label(domain))
    images, labels = (getattr(arrays, f"{part}_{kind}") for kind in ("images", "labels"))
    return _image_set(images, labels, arrays.classes, shape)


def _image_set(images: np.ndarray, labels: np.ndarray, classes: tuple[str, ...], shape: CommonShape) -> ImageSet:
    return ImageSet(to_shape(images, shape.image_size, shape.channels), labels, shape.num_classes, classes)
