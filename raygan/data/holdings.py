"""The table of who holds what, for `--dry-run` and as the check that every client has images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from raygan.config.schema import Config
from raygan.data.admission import Bound, Request, fixed_heads
from raygan.data.arrays import DomainInfo
from raygan.data.classes import Names, common_names, numbers_of
from raygan.data.found import NOTHING, Found
from raygan.data.partition import deal_in_turn
from raygan.data.source import domain_label, outline_domain

MAX_SHOWN = 3  # names in a note


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
    found: Found = NOTHING
    """What reading it came upon."""
    numbers: tuple[int, ...] = ()
    """The label in the run of each of its own; empty: its own."""
    bound: Bound | None = None
    """What its site's policy says of cuts; None: nothing."""

    def numbered(self, names: Names) -> DomainSurvey:
        """The same with classes named, and counts ordered, as the run has them."""
        own = self.info.classes
        if names == own:
            return self
        numbers = numbers_of(own, names, self.holdings[0].domain if self.holdings else "data.domains")
        info = replace(self.info, classes=names, class_counts=_moved(self.info.class_counts, numbers, len(names)))
        holdings = tuple(
            replace(one, class_counts=_moved(one.class_counts, numbers, len(names))) for one in self.holdings
        )
        lacking = [name for name in names if name not in own]
        note = f"{_first(lacking)}: classes of other domains that have its classes too, without images here"
        noted = self.found.noted(note) if lacking else self.found
        return replace(self, info=info, holdings=holdings, found=noted, numbers=tuple(numbers.tolist()))


def survey_domain(config: Config, index: int) -> DomainSurvey:
    """Describes a domain, where this is called, and what each of its clients holds; no image is kept to tell.

    Raises:
        DataError: a domain that cannot be read, or a client that would have fewer than 2 images.
        PolicyError: its site does not allow what is asked; then nothing was opened, but for `min_images`.
    """
    admission = Request(config, index, "survey", fixed_heads(config, index)).admitted()
    domain, name = config.data.domains[index], domain_label(config.data.domains[index])
    outline = outline_domain(domain, config.data)
    where = f"data.domains[{index}] ({name})"
    data, labels = config.data, outline.train_labels
    members = [member for member in data.everybody if member.domain == index]
    deals = (*members[-1].dealt_before, members[-1].dealt_with)
    dealt = deal_in_turn(
        labels, deals, data.partition, config.seed, index, outline.groups, where, data.images_per_client
    )
    table = tuple(
        Holding(name, index, member.client, len(mine), outline.class_counts(mine))
        for member, mine in zip(members, dealt, strict=True)
        if member.client not in data.left
    )
    for held in table:
        admission.check_images(f"client-{held.client:02d}", held.num_images)
    info = outline.info()
    return DomainSurvey(info, table, outline.found.noted(*_oddities(info)), bound=admission.bound)


def with_common_classes(surveys: Sequence[DomainSurvey]) -> list[DomainSurvey]:
    """The surveys of all domains with labels as the run has them: classes of one name are one label (`common_names`)."""
    names = common_names([survey.info.classes for survey in surveys])
    return [survey.numbered(own) for survey, own in zip(surveys, names, strict=True)]


def _oddities(info: DomainInfo) -> list[str]:
    """What is odd about a domain's counts."""
    counts = dict(zip(info.classes, info.class_counts, strict=True))
    empty = [name for name, count in counts.items() if count == 0]
    single = [name for name, count in counts.items() if count == 1]
    notes = [f"no images of {_first(empty)}"] if empty else []
    notes += [f"one image only of {_first(single)}"] if single else []
    return notes + (["one class only"] if len(counts) == 1 else [])


def _first(names: Sequence[str]) -> str:
    """A few of the names, and how many more there are."""
    shown = ", ".join(map(repr, names[:MAX_SHOWN]))
    return shown if len(names) <= MAX_SHOWN else f"{shown} and {len(names) - MAX_SHOWN:,} more classes"


def _moved(counts: Sequence[int], numbers: np.ndarray, num_classes: int) -> tuple[int, ...]:
    moved = np.zeros(num_classes, dtype=np.int64)
    moved[numbers] = counts
    return tuple(moved.tolist())


def survey_domains(config: Config) -> list[DomainSurvey]:
    """The survey of every domain that a client holds, made here; errors as `survey_domain`."""
    return [survey_domain(config, index) for index in config.data.held]
