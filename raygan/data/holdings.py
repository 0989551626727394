"""The table of who holds what, for `--dry-run` and as the check that every client has images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from raygan.config.schema import Config
from raygan.data.partition import deal
from raygan.data.source import domain_label, outline_domain


@dataclass(frozen=True)
class Holding:
    """What one client holds."""

    domain: str
    """Label of its domain."""
    domain_index: int
    """Place of its domain in `data.domains`."""
    client: int
    """Number of the client over all domains, from 0."""
    num_images: int
    """Its training images."""
    class_counts: tuple[int, ...]
    """Its training images of each class of its domain."""


def holdings(config: Config) -> list[Holding]:
    """Every client's holding, in the order of the clients; no image is kept to tell.

    Raises:
        DataError: a domain that cannot be read, or a client that would have fewer than 2 images.
    """
    table: list[Holding] = []
    for index, domain in enumerate(config.data.domains):
        name = domain_label(domain)
        outline = outline_domain(domain, config.data)
        where = f"data.domains[{index}] ({name})"
        dealt = deal(
            outline.train_labels,
            domain.clients,
            config.data.partition,
            config.seed,
            index,
            outline.groups,
            where,
        )
        for mine in dealt:
            counts = np.bincount(outline.train_labels[mine], minlength=len(outline.classes))
            table.append(Holding(name, index, len(table), len(mine), tuple(int(count) for count in counts)))
    return table
