"""What a client's actor holds: a description comes in, its images stay here.

Legend: N images, B batch, C channels, H W space.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from raygan.config.schema import Config, DataConfig, DomainConfig, Partition
from raygan.data.arrays import Arrays, TrainView
from raygan.data.partition import deal
from raygan.data.shape import CommonShape, common_shape, to_float, to_shape
from raygan.data.source import CACHED_DOMAINS, DomainInfo, clear_caches, domain_label, load_domain, train_view


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
    """The client's place among its domain's, from 0."""
    num_clients: int
    """Clients of the domain."""
    seed: int
    """The run's."""
    image_size: int
    """Height and width of the result, pixels."""
    channels: int
    """Channels of the result, 1 or 3."""
    num_classes: int
    """Classes that the networks know; at least the domain's."""


@dataclass(frozen=True)
class ImageSet:
    """Images and labels in the run's shape.

    Attributes:
        images: uint8 (N, C, H, W), 0 to 255. A laptop may host hundreds of clients, so they become float only
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


@dataclass(frozen=True)
class ClientData(ImageSet):
    """One client's private images."""


def client_slices(config: Config, infos: Sequence[DomainInfo]) -> list[ClientSlice]:
    """The description of every client, numbered through the domains in order."""
    shape = common_shape(config.model, infos)
    return [
        ClientSlice(
            domain=domain,
            data=config.data,
            domain_index=domain_index,
            client_index_in_domain=client,
            num_clients=domain.clients,
            seed=config.seed,
            image_size=shape.image_size,
            channels=shape.channels,
            num_classes=shape.num_classes,
        )
        for domain_index, domain in enumerate(config.data.domains)
        for client in range(domain.clients)
    ]


def load_client(description: ClientSlice) -> ClientData:
    """The client's images, read where this is called; clients of one domain in one process read it once.

    Raises:
        DataError: as `load_domain` and `deal`.
    """
    d = description
    view = train_view(d.domain, d.data, d.image_size)
    where = f"data.domains[{d.domain_index}] ({domain_label(d.domain)})"
    dealt = _dealt(view, d.num_clients, d.data.partition, d.seed, d.domain_index, where)
    mine = dealt[d.client_index_in_domain]
    images = to_shape(view.read(mine), d.image_size, d.channels)
    return ClientData(images, view.labels[mine], d.num_classes, view.classes)


@lru_cache(maxsize=CACHED_DOMAINS)
def _dealt(
    view: TrainView, num_clients: int, partition: Partition, seed: int, domain_index: int, where: str
) -> list[np.ndarray]:
    """`deal`, once for all clients of a domain in this process."""
    return deal(view.labels, num_clients, partition, seed, domain_index, view.groups, where)


def forget_domains() -> None:
    """Free the domains that this process keeps; an actor calls it once its clients have their images."""
    clear_caches()
    _dealt.cache_clear()


def train_set(domain: DomainConfig, data: DataConfig, shape: CommonShape) -> ImageSet:
    """All training images of a domain in the run's shape, for the evaluator's classifiers.

    Raises:
        DataError: as `load_domain`.
    """
    arrays = load_domain(domain, data, shape.image_size)
    return _image_set(arrays, arrays.train_images, arrays.train_labels, shape)


def test_set(domain: DomainConfig, data: DataConfig, shape: CommonShape) -> ImageSet:
    """All test images of a domain in the run's shape.

    Raises:
        DataError: as `load_domain`.
    """
    arrays = load_domain(domain, data, shape.image_size)
    return _image_set(arrays, arrays.test_images, arrays.test_labels, shape)


test_set.__test__ = False  # type: ignore[attr-defined]  # a name that pytest would collect


def _image_set(arrays: Arrays, images: np.ndarray, labels: np.ndarray, shape: CommonShape) -> ImageSet:
    return ImageSet(
        to_shape(images, shape.image_size, shape.channels), labels, shape.num_classes, arrays.classes
    )
