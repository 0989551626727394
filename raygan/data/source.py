"""From a domain's description to its images, or to its outline without them: one loader for each kind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain, count
from pathlib import Path

from raygan.config.loading import from_home
from raygan.config.schema import DataConfig, DomainConfig
from raygan.data.arrays import Arrays, DomainInfo, Outline, TrainView
from raygan.data.loaders.custom import load_custom
from raygan.data.loaders.folders import FolderSource
from raygan.data.loaders.idx import idx_files, load_idx
from raygan.data.loaders.images import open_images
from raygan.data.loaders.medmnist_sets import load_medmnist
from raygan.data.loaders.npz import DEMO_FOLDER, DEMO_NAMES, NpzFile
from raygan.data.loaders.recordings import open_recordings
from raygan.data.loaders.torchvision_sets import load_torchvision

CACHED_DOMAINS = 4  # domains kept in a process, so that its clients read each once
FILE_KINDS = ("npz", "images", "wav")


def domain_label(domain: DomainConfig) -> str:
    """A short name of the domain for tables: its `name`, or else the file's or folder's without its path."""
    if domain.name is not None:
        return domain.name
    kind, value = domain.source
    return Path(value).stem if kind in FILE_KINDS else value


def domain_names(data: DataConfig) -> list[str]:
    """A name for each domain, all different: its label, numbered where domains share one (`mnist`, `mnist-2`)."""
    names: list[str] = []
    for label in map(domain_label, data.domains):
        numbered = (f"{label}-{number}" for number in count(2))
        names.append(next(name for name in chain([label], numbered) if name not in names))
    return names


def load_domain(domain: DomainConfig, data: DataConfig, image_size: int | None = None) -> Arrays:
    """The whole domain in memory.

    Args:
        data: `root` and `download`, for the sets that a library keeps.
        image_size: side in pixels that a folder's pictures are brought to as they are read, so that
            photographs of any size fit in memory; None: as stored, and then they must all have one size.

    Raises:
        DataError: it is missing, corrupt or empty, or not in the form of its kind.
    """
    return _load(*_key(domain, data), image_size)


def describe_domain(domain: DomainConfig, data: DataConfig) -> DomainInfo:
    """The domain's numbers. Every fault that `load_domain` would find is found here; errors as there."""
    return outline_domain(domain, data).info()


def outline_domain(domain: DomainConfig, data: DataConfig) -> Outline:
    """The domain without its images, which are at most streamed through (of a set that only a library can read, they
    are in memory for a moment); errors as `load_domain`."""
    return _outline(*_key(domain, data))


def train_view(domain: DomainConfig, data: DataConfig, image_size: int | None = None) -> TrainView:
    """The training images, of which a client reads its own: pictures and recordings of a folder are read one
    by one, other sources as a whole and kept. While it is kept, the same object is returned. Errors as `load_domain`."""
    return _train_view(*_key(domain, data), image_size)


def clear_caches() -> None:
    """Free the domains that this process keeps."""
    for kept in (_load, _outline, _train_view):
        kept.cache_clear()


Stamp = tuple[tuple[int, int], ...]


def _key(domain: DomainConfig, data: DataConfig) -> tuple[DomainConfig, DataConfig, Stamp]:
    """What decides a domain's content: clients with equal keys share one copy. A file counts with its time
    and size, so that one that was written anew is read anew."""
    place = DataConfig(root=data.root, download=data.download)
    if domain.source[0] != "loader":  # which is given the domain's whole configuration
        domain = domain.model_copy(update={"clients": 1})
    return domain, place, _stamp(domain)


def _stamp(domain: DomainConfig) -> Stamp:
    kind, value = domain.source
    files = [value] if kind in FILE_KINDS else []
    if domain.csv is not None:
        files.append(domain.csv.file)
    stats = [path.stat() for path in map(from_home, files) if path.exists()]
    return tuple((stat.st_mtime_ns, stat.st_size) for stat in stats)


@lru_cache(maxsize=CACHED_DOMAINS)
def _load(domain: DomainConfig, data: DataConfig, stamp: Stamp, image_size: int | None) -> Arrays:
    arrays = _open(domain, data, image_size).load().numbered(domain.classes, domain.source[1])
    return arrays.limited(domain.limit)


@lru_cache(maxsize=CACHED_DOMAINS)
def _train_view(domain: DomainConfig, data: DataConfig, stamp: Stamp, image_size: int | None) -> TrainView:
    source = _open(domain, data, image_size)
    if isinstance(source, FolderSource):
        return source.train_view().numbered(domain.classes, domain.source[1]).limited(domain.limit)
    return _load(domain, data, stamp, image_size).train_view()


@lru_cache(maxsize=64)
def _outline(domain: DomainConfig, data: DataConfig, stamp: Stamp) -> Outline:
    outline = _open(domain, data, None).outline().numbered(domain.classes, domain.source[1])
    return outline.limited(domain.limit)


@dataclass(frozen=True)
class _Whole:
    """A source that can only be read as a whole."""

    load: Callable[[], Arrays]

    def outline(self) -> Outline:
        return self.load().outline()


def _open(domain: DomainConfig, data: DataConfig, image_size: int | None) -> NpzFile | FolderSource | _Whole:
    """The loader of the domain's kind; nothing but a folder's listing is read yet."""
    kind, value = domain.source
    root, path = from_home(data.root), from_home(value)
    if kind == "images":
        files = idx_files(path)
        return _Whole(partial(load_idx, files, value)) if files else open_images(path, value, image_size, domain)
    if kind == "wav":
        return open_recordings(path, value, domain)
    if kind == "npz":
        return NpzFile(path, value)
    if kind == "name" and value in DEMO_NAMES:
        return NpzFile(DEMO_FOLDER / f"{value}.npz", value)
    if kind == "name":
        return _Whole(partial(load_torchvision, value, root, data.download, value))
    if kind == "medmnist":
        return _Whole(partial(load_medmnist, value, root, data.download, value))
    assert kind == "loader", kind
    return _Whole(partial(load_custom, value, domain, value))
