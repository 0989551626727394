"""A search as one object: from its file to every trial's configuration.

A *point* is what a trial chose: dotted key -> label (`raygan/search/domain.py`), and the seed. Everything else
about a trial follows from the search and the point, so that a point is all that Ray Tune needs to carry.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from raygan.config.loading import (
    absolute_paths,
    changed_config,
    parse_override,
    read_yaml,
    set_key,
)
from raygan.config.mistakes import first_mistake
from raygan.config.schema import Config
from raygan.errors import ConfigError
from raygan.own_code import fenced, imported
from raygan.randomness import stream
from raygan.search.domain import KINDS, Domain, Label, parse_domain
from raygan.search.schema import VARIANT, SearchConfig
from raygan.storage import write_bytes

Point = dict[str, Label]
ALL = "all"
ALL_VARIANTS = Path(__file__).with_name("all_variants.yaml")
"""What `variants: all` stands for."""
POINT = "set"
"""Where a trial's configuration, as Ray Tune has it, keeps the point."""


@dataclass(frozen=True)
class Search:
    """A search whose file has been read."""

    name: str
    settings: Mapping[str, Any]
    """The file's keys, with the base inline."""
    config: SearchConfig

    @property
    def title(self) -> str:
        """What it is to answer, or its name."""
        return self.config.question or self.name

    @property
    def base(self) -> Mapping[str, Any]:
        """The settings that all trials share."""
        assert not isinstance(self.config.base, str), "a base that is a path was read with the file"
        return self.config.base

    def on_cluster(self, address: str) -> Search:
        """The same search, its trials on the Ray cluster at this address."""
        base = set_key(self.base, "ray.address", address)
        config = self.config.model_copy(update={"base": base})
        return replace(self, settings={**self.settings, "base": base}, config=config)

    def domains(self, point: Mapping[str, Label]) -> dict[str, Domain]:
        """The spaces of all keys, those that the conditional function adds for this point among them.

        Raises:
            ConfigError: a function that cannot be used, or that returns what it must not.
        """
        domains = dict(self.space)
        if self._function is not None:
            known = {key: domains[key].value(point[key]) for key in domains if key != VARIANT}
            with fenced("conditional", f"{self.config.conditional} failed with"):
                returned = self._function(known)
            domains |= self._more(returned, domains)
        return domains

    def config_of(self, point: Mapping[str, Label], without: str | None = None) -> Config:
        """A point's configuration, in full.

        Args:
            without: a key that keeps the base's value.

        Raises:
            ConfigError: it is not valid.
        """
        domains = {key: domain for key, domain in self.domains(point).items() if key != without}
        values = {key: domain.value(point[key]) for key, domain in domains.items()}
        variant = values.pop(VARIANT, {})
        seed = point.get("seed", self.config.seeds[0])
        start = None if self.config.paths_from is None else Path(self.config.paths_from)
        return absolute_paths(changed_config(self.base, list(values.items()), {"seed": seed, **variant}), start)

    def points(self) -> list[Point]:
        """Every trial of a search that does not learn: the grids crossed, `samples` times, with each seed."""
        return [
            {**point, "seed": seed}
            for number in range(self.config.samples)
            for point in self._crossed(number)
            for seed in self.config.seeds
        ]

    def sample(self, number: int) -> Point:
        """One drawn point; of a grid, one value."""
        rng = stream(self.config.seed, "search", number)
        return {**self.chosen(lambda _, domain: domain.sample(rng)), "seed": self.config.seeds[0]}

    def chosen(self, choose: Callable[[str, Domain], Label], fixed: Mapping[str, Label] | None = None) -> Point:
        """A point without its seed: the keys of the space, then those that the conditional function adds for them.

        Args:
            choose: the label of a key.
            fixed: keys of the space whose labels are chosen already.
        """
        known = fixed or {}
        space = self.space.items()
        point = {key: known[key] if key in known else choose(key, domain) for key, domain in space}
        more = {key: choose(key, domain) for key, domain in self.domains(point).items() if key not in point}
        return {**point, **more}

    def _crossed(self, number: int) -> Iterator[Point]:
        """The points of one draw: each combination of the grids, with what else is drawn for it."""
        everything = self.config.searcher.name == "grid"
        rng = stream(self.config.seed, "search", number)
        grids = {key: list(domain.values) for key, domain in self.space.items() if domain.kind == "grid" or everything}
        for labels in itertools.product(*grids.values()):
            yield self.chosen(lambda _, domain: domain.sample(rng), dict(zip(grids, labels, strict=True)))

    @cached_property
    def space(self) -> dict[str, Domain]:
        """What each key may become; the variants are one of them, whose values are keys of the configuration."""
        variants = [(VARIANT, Domain("grid", dict(self.config.variants.items())))] if self.config.variants else []
        return {**dict(variants), **self.config.space}

    @cached_property
    def _function(self) -> Any:
        if self.config.conditional is None:
            return None
        return imported(self.config.conditional, "conditional")

    def _more(self, returned: Any, domains: Mapping[str, Domain]) -> dict[str, Domain]:
        if not isinstance(returned, Mapping):
            found = f"{self.config.conditional} returned {returned!r}"
            raise ConfigError("conditional", found, "return keys with their values or spaces")
        more: dict[str, Domain] = {}
        for key, given in returned.items():
            if key in domains or key == "seed":
                raise ConfigError("conditional", f"{key!r} is in the space already", "return other keys")
            try:
                is_space = isinstance(given, Mapping) and len(given) == 1 and next(iter(given)) in KINDS
                label = "given" if isinstance(given, (list, tuple, Mapping)) else given
                more[key] = parse_domain(given) if is_space else Domain("grid", {label: given})
            except ValueError as error:
                found, _, remedy = str(error).partition("; ")
                raise ConfigError(f"conditional: {key}", found, remedy) from None
        return more

    def save(self, path: Path) -> None:
        """Writes the search in full: `read_search` reads it back from anywhere."""
        text = yaml.safe_dump(dict(self.settings), sort_keys=False, default_flow_style=None)
        write_bytes(path, text.encode())


def read_search(path: str | Path, overrides: Sequence[str] = ()) -> Search:
    """A search's file, with `key=value` overrides; `base.training.rounds=3` reaches into the base.

    Raises:
        ConfigError: naming the file or key, what was found, and what to do.
    """
    file = Path(path)
    return search_of({"name": file.stem, **read_yaml(file)}, overrides, file.parent)


def search_of(given: Mapping[str, Any], overrides: Sequence[str] = (), folder: Path | None = None) -> Search:
    """A search from its settings; `key=value` overrides and errors as `read_search`.

    Args:
        folder: where the path of a base starts; None: the current one.
    """
    settings = dict(given)
    changes = [parse_override(override) for override in overrides]
    base = dict(changes).get("base", settings.get("base"))
    settings["base"] = read_yaml((folder or Path()) / base) if isinstance(base, str) else (base or {})
    if settings.get("variants") == ALL:
        settings["variants"] = read_yaml(ALL_VARIANTS)
    for key, value in changes:
        head, _, rest = key.partition(".")
        if key == "base":
            continue
        if head == "base" and rest and isinstance(settings["base"], Mapping):
            settings["base"] = set_key(settings["base"], rest, value)
        elif head in ("space", "variants") and rest:
            settings[head] = {**(settings.get(head) or {}), rest: value}
        else:
            settings[head] = set_key({head: settings.get(head)}, key, value)[head] if rest else value
    settings.setdefault("paths_from", str(Path.cwd()))
    try:
        config = SearchConfig.model_validate(settings)
    except ValidationError as error:
        raise first_mistake(error, SearchConfig) from None
    return Search(config.name or "search", settings, config)


def default_folder(search: Search) -> Path:
    """A new folder under `runs/`, named by the search and the time."""
    return Path("runs") / f"tune-{search.name}-{datetime.now():%Y%m%d-%H%M%S}"
