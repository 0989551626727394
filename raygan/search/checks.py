"""Everything that can be wrong with a search, found before Ray starts: one line for the first mistake."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterator

from raygan.config.loading import changed_config, cluster_address
from raygan.config.schema import Config
from raygan.errors import ConfigError
from raygan.runtime.ray.cluster import has_ray
from raygan.runtime.ray.demand import label_text
from raygan.search.domain import Domain, Label
from raygan.search.reported import check_metrics
from raygan.search.schema import VARIANT
from raygan.search.search import Point, Search

MAX_COMBINATIONS = 256
"""More combinations than this are not all checked, where a searcher chooses among them as it goes."""
MAX_TRIALS = 10_000
"""Of a search: the configuration of each is checked before it begins, and Ray Tune keeps the state of all."""
DRAWS = 32
"""Points drawn to be checked where not all can be."""


def check_space(search: Search) -> dict[str, Config]:
    """Checks the base, every key, every value and their combinations, and the metrics.

    Returns:
        What the search may try, by a text that names the point (`clusters.count=2, seed=0`): all of it, or of a
        search that learns, a part.

    Raises:
        ConfigError: the first mistake.
    """
    check_base(search)
    _check_count(search)
    _check_keys(search)
    learns = search.config.scheduler is not None or search.config.searcher.learns
    configs = {}
    for point in _points(search):
        told = ", ".join(f"{key}={label}" for key, label in point.items())
        configs[told] = _config(search, point, f"space: {told}")
    for config in configs.values():
        check_places(config)
        if search.config.in_process and config.devices.emulate:
            found = "true, but each trial runs in one process (in_process)"
            raise ConfigError("base.devices.emulate", found, "set one of the two to false")
        check_metrics(search.config.metric, config)
        if learns and config.evaluation.every > 1:
            found = f"scores come only every {config.evaluation.every} rounds"
            raise ConfigError("base.evaluation.every", found, "set 1: trials are compared round by round")
    return configs


def _check_count(search: Search) -> None:
    """Refuses more trials than could be checked, before they are made."""
    config, everything = search.config, search.config.searcher.name == "grid"
    count = config.samples * len(config.seeds)
    if not config.searcher.learns:
        count *= math.prod(len(d.values) for d in search.space.values() if d.kind == "grid" or everything)
    if count > MAX_TRIALS:
        found = f"{config.samples:,}, which is {count:,} trials with the grids and seeds"
        raise ConfigError("samples", found, f"give fewer: at most {MAX_TRIALS:,} trials")


def check_base(search: Search) -> Config:
    """The base's own configuration. Raises ConfigError: its first mistake."""
    try:
        return changed_config(search.base, [])
    except ConfigError as error:
        raise ConfigError(f"base.{error.where}", error.found, error.remedy) from None


def check_places(config: Config) -> None:
    """A search plans its trials where it is started: it reads all data there, heeds labels on a cluster only, and keeps
    every trial's run in its own folder."""
    if config.checkpoints.storage is not None:
        found = f"{config.checkpoints.storage!r}, but only one run can be kept at a URI"
        remedy = "leave it out: the search's folder holds every trial's run"
        raise ConfigError("checkpoints.storage", found, remedy)
    for index, domain in enumerate(config.data.domains):
        if domain.labels:
            found = f"{label_text(domain.labels)}, but a search needs every domain where it is started"
            remedy = "leave the labels out, with the data where every node can read it"
            raise ConfigError(f"data.domains[{index}].labels", found, remedy)
    if cluster_address(config) is not None or has_ray():
        return
    for name in config.devices.fleet:
        if labels := config.devices.profile(name).labels:
            found = f"{label_text(labels)}, but this search runs on one machine"
            raise ConfigError(f"devices.profiles.{name}.labels", found, "leave them out, or give --address")


def _check_keys(search: Search) -> None:
    """Each value must be valid by itself, and must change the resolved configuration.

    Raises:
        ConfigError: naming the key of the space.
    """
    for key, domain in search.space.items():
        seen: dict[str, Label] = {}
        for label in domain.probes:
            point = search.chosen(_first, {key: label})
            if len(domain.probes) == 1:
                seen[_text(search.config_of(point, without=key))] = "the base"
            where = f"variants.{label}" if key == VARIANT else f"space.{key}: {label!r}"
            text = _text(_config(search, point, where))
            if text in seen:
                found = f"{label!r} gives the same configuration as {seen[text]}"
                where = "variants" if key == VARIANT else f"space.{key}"
                raise ConfigError(where, found, "remove one of them, or change another key")
            seen[text] = label


def _points(search: Search) -> Iterator[Point]:
    if not search.config.searcher.learns:
        yield from search.points()
        return
    space = search.space
    if math.prod(len(domain.probes) for domain in space.values()) <= MAX_COMBINATIONS:
        for labels in itertools.product(*(domain.probes for domain in space.values())):
            yield search.chosen(_first, dict(zip(space, labels, strict=True)))
    yield from (search.sample(number) for number in range(DRAWS))


def _first(key: str, domain: Domain) -> Label:
    return domain.probes[0]


def _config(search: Search, point: Point, where: str) -> Config:
    try:
        return search.config_of(point)
    except ConfigError as error:
        if error.where.startswith("conditional"):
            raise
        at_fault = [key for key in search.config.space if f"{error.where}.".startswith(f"{key}.")]
        if at_fault and where.startswith("space."):
            where = f"space.{at_fault[0]}: {point[at_fault[0]]!r}"
        raise ConfigError(where, f"{error.where}: {error.found}", error.remedy) from None


def _text(config: Config) -> str:
    return json.dumps(config.model_dump(mode="json"), sort_keys=True)
