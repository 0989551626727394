"""The table of who holds what, for `--dry-run` and as the check that every client has images."""

from __future__ import annotations

from dataclasses import dataclass

from raygan.config.schema import Config
from raygan.data.arrays import DomainInfo
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


@dataclass(frozen=True)
class DomainSurvey:
    """What is known of a domain before training: counts and a digest, which may leave the site that keeps the data."""

    info: DomainInfo
    holdings: tuple[Holding, ...]
    """Its clients'."""


def survey_domain(config: Config, index: int) -> DomainSurvey:
    """Describes a domain, where this is called, and what each of its clients holds; no image is kept to tell.

    Raises:
        DataError: a domain that cannot be read, or a client that would have fewer than 2 images.
    """
    domain, name = config.data.domains[index], domain_label(config.data.domains[index])
    outline = outline_domain(domain, config.data)
    where = f"data.domains[{index}] ({name})"
    data, labels = config.data, outline.train_labels
    dealt = deal(
        labels, domain.clients, data.partition, config.seed, index, outline.groups, where, data.images_per_client
    )
    first = sum(before.clients for before in config.data.domains[:index])
    table = tuple(
        Holding(name, index, first + number, len(mine), outline.class_counts(mine)) for number, mine in enumerate(dealt)
    )
    return DomainSurvey(outline.info(), table)


def survey_domains(config: Config) -> list[DomainSurvey]:
    """Every domain's survey, made here; errors as `survey_domain`."""
    return [survey_domain(config, index) for index in range(len(config.data.domains))]
