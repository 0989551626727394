"""From a domain's description to its images, or to its outline without them: one loader for each kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np

from raygan.config.schema import DataConfig, DomainConfig
from raygan.data.arrays import Arrays, Outline, evenly
from raygan.data.loaders.npz import DEMO_NAMES, demo_file, load_npz, outline_npz

CACHED_DOMAINS = 4  # domains kept in a process, so that the clients it hosts read each once


@dataclass(frozen=True)
class DomainInfo:
    """What the driver knows of a domain before any actor starts.

    Attributes:
        num_train: training images, after `limit`.
        num_test: test images.
        image_size: (H, W) in pixels as stored; of the first image where a folder's images differ.
        channels: 1 (grey) or 3 (RGB).
        classes: a name for each label.
        class_counts: training images of each class, after `limit`.
    """

    num_train: int
    num_test: int
    image_size: tuple[int, int]
    channels: int
    classes: tuple[str, ...]
    class_counts: tuple[int, ...]


def domain_label(domain: DomainConfig) -> str:
    """A short name of the domain for tables: the set's name, or the file's or folder's without its path."""
    kind, value = domain.source
    return Path(value).stem if kind in ("npz", "images", "wav") else value


def load_domain(domain: DomainConfig, data: DataConfig, image_size: int | None = None) -> Arrays:
    """The whole domain in memory.

    Args:
        domain: where it is.
        data: `root` and `download`, for the sets that a library keeps.
        image_size: side in pixels that a folder's pictures are brought to as they are read, so that photographs
            of any size fit in memory; None: as stored, and then they must all have one size.

    Raises:
        DataError: it is missing, corrupt or empty, or not in the form of its kind.
    """
    return _load(*_key(domain, data), image_size)


def describe_domain(domain: DomainConfig, data: DataConfig) -> DomainInfo:
    """The domain's numbers. Every fault that `load_domain` would find is found here.

    Raises:
        DataError: as `load_domain`.
    """
    outline = outline_domain(domain, data)
    counts = np.bincount(outline.train_labels, minlength=len(outline.classes))
    return DomainInfo(
        num_train=len(outline.train_labels),
        num_test=outline.num_test,
        image_size=outline.image_size,
        channels=outline.channels,
        classes=outline.classes,
        class_counts=tuple(int(count) for count in counts),
    )


def outline_domain(domain: DomainConfig, data: DataConfig) -> Outline:
    """The domain without its images, which are at most streamed through (of a set that only a library can
    read, they are in memory for a moment).

    Raises:
        DataError: as `load_domain`.
    """
    return _outline(*_key(domain, data))


def forget_domains() -> None:
    """Free the domains that this process keeps; an actor calls it once its clients have their images."""
    _load.cache_clear()
    _outline.cache_clear()


def _key(domain: DomainConfig, data: DataConfig) -> tuple[DomainConfig, DataConfig, tuple[int, int] | None]:
    """What decides a domain's content: two clients with equal keys share one copy. A file counts with its time
    and size, so that one that was written anew is read anew."""
    kind, value = domain.source
    path = Path(value).expanduser()
    stamp = None
    if kind in ("npz", "images", "wav") and path.exists():
        stat = path.stat()
        stamp = (stat.st_mtime_ns, stat.st_size)
    return domain.model_copy(update={"clients": 1}), DataConfig(root=data.root, download=data.download), stamp


@lru_cache(maxsize=CACHED_DOMAINS)
def _load(
    domain: DomainConfig, data: DataConfig, stamp: tuple[int, int] | None, image_size: int | None
) -> Arrays:
    return _reader(domain, data, image_size).load().limited(domain.limit)


@lru_cache(maxsize=64)
def _outline(domain: DomainConfig, data: DataConfig, stamp: tuple[int, int] | None) -> Outline:
    whole = _reader(domain, data, None).outline()
    chosen = evenly(len(whole.train_labels), domain.limit)
    groups = {name: values[chosen] for name, values in whole.groups.items()}
    return replace(whole, train_labels=whole.train_labels[chosen], groups=groups)


@dataclass(frozen=True)
class _Reader:
    load: Callable[[], Arrays]
    outline: Callable[[], Outline]


def _reader(domain: DomainConfig, data: DataConfig, image_size: int | None) -> _Reader:
    kind, value = domain.source
    if kind == "npz" or value in DEMO_NAMES:
        path = Path(value).expanduser() if kind == "npz" else demo_file(value)
        return _Reader(lambda: load_npz(path, value), lambda: outline_npz(path, value))
    raise NotImplementedError(kind)
