"""From a file and `--set` to a `Config`: one door, one clear line for the first mistake."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from raygan.config.scenarios import with_scenario
from raygan.config.schema import Config, DomainConfig
from raygan.config.yaml_text import RepeatedKeyError, from_yaml
from raygan.errors import MAX_LENGTH, ConfigError, instead_of, reason

NOT_YAML = (yaml.YAMLError, ValueError, AttributeError, TypeError, RecursionError)
"""What PyYAML raises: its own errors, and others for texts such as `2001-99-99`, `!!int a` or a thousand brackets."""

LEADING_ZERO = re.compile(r"\s*[-+]?0\d")


def read_config(path: str | Path | None = None, overrides: Iterable[str] = ()) -> Config:
    """The configuration of a YAML file (None: the default) with `key.path=value` overrides; else a ConfigError."""
    settings = {} if path is None else read_yaml(Path(path))
    return changed_config(settings, [parse_override(override) for override in overrides])


def changed_config(settings: Mapping[str, Any], changes: Sequence[tuple[str, Any]]) -> Config:
    """Nested settings with dotted keys changed, in order: the one door for `--set` and for searches; errors as
    `read_config`."""
    for key, value in changes:
        if key == "scenario":  # first, so that data.domains.0.clients=3 reaches into the scenario's domains
            settings = with_scenario(set_key(settings, key, value))
    for key, value in changes:
        settings = set_key(settings, key, value)
    return make_config(settings)


def absolute_paths(config: Config, start: Path | None = None) -> Config:
    """The same configuration with its paths (data, cache, start) made absolute: actors run in other folders.

    Args:
        start: where relative paths start; None: the current folder.

    Raises:
        ConfigError: a relative path of a domain with labels, which is on other machines than this.
    """
    start = start or Path.cwd()
    domains = tuple(_absolute(domain, index, start) for index, domain in enumerate(config.data.domains))
    evaluation = config.evaluation
    if evaluation.cache is not None and not evaluation.cache.startswith("~"):
        evaluation = evaluation.model_copy(update={"cache": str(start / evaluation.cache)})
    model = config.model
    if model.start_from is not None:
        model = model.model_copy(update={"start_from": str(start / from_home(model.start_from))})
    data = config.data.model_copy(update={"domains": domains})
    return config.model_copy(update={"data": data, "evaluation": evaluation, "model": model})


def _absolute(domain: DomainConfig, index: int, start: Path) -> DomainConfig:
    kind, value = domain.source
    if kind not in ("npz", "images", "wav"):
        return domain
    paths = {kind: value, **({"csv.file": domain.csv.file} if domain.csv else {})}
    for key, path in paths.items():
        if domain.labels and not path.startswith(("/", "~")):
            found = f"{path!r} is relative, and its labels say that it is on other machines"
            raise ConfigError(f"data.domains[{index}].{key}", found, "give the whole path, as it is there")
    if domain.labels:
        return domain
    table = domain.csv and domain.csv.model_copy(update={"file": str(start / from_home(domain.csv.file))})
    return domain.model_copy(update={kind: str(start / from_home(value)), "csv": table})


def from_home(path: str) -> Path:
    """A path that may begin with `~` or `~user`.

    Raises:
        ConfigError: there is no such user on this machine, or nobody's home is known.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise ConfigError(path, "no such user here, or no home folder", "write the path out") from None


def without_labels(config: Config) -> Config:
    """The same configuration for a machine of its own, where all data is: no actor asks for labels."""
    domains = tuple(domain.model_copy(update={"labels": {}}) for domain in config.data.domains)
    profiles = {name: profile.model_copy(update={"labels": {}}) for name, profile in config.devices.profiles.items()}
    return config.model_copy(
        update={
            "data": config.data.model_copy(update={"domains": domains}),
            "devices": config.devices.model_copy(update={"profiles": profiles}),
        }
    )


def cluster_address(config: Config) -> str | None:
    """Address of the Ray cluster to join; None: a Ray of our own on this machine."""
    address = config.ray.address or os.environ.get("RAY_ADDRESS")
    return None if address in (None, "", "local") else address


def make_config(settings: Mapping[str, Any]) -> Config:
    """A `Config` from nested settings, or the first mistake; a `scenario` sets the keys that are not given."""
    settings = with_scenario(settings)
    try:
        return Config.model_validate(settings)
    except ValidationError as error:
        raise first_mistake(error) from None


def parse_override(text: str) -> tuple[str, Any]:
    """`training.lr=1e-4` -> ("training.lr", 1e-4); the value is YAML.

    Raises:
        ConfigError: no `=`, or a value that is not YAML.
    """
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {text}", "no key=value", "write it as key.path=value, such as training.rounds=10")
    try:
        return key.strip(), as_number(from_yaml(value))
    except NOT_YAML as error:
        raise ConfigError(
            f"--set {key}", f"{_shown(value)} is not YAML ({reason(error, 200)})", "quote the value"
        ) from None


def set_key(settings: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A copy of nested settings with one dotted key changed; `data.domains.0.clients` reaches into lists.

    Raises:
        ConfigError: a list has no such entry, or the way leads through a value that has no keys.
    """
    changed: dict[str, Any] = _changed(settings, key.split("."), value, Config().model_dump(mode="json"), key)
    return changed


def _changed(node: Any, path: list[str], value: Any, default: Any, key: str) -> Any:
    """`node`, or the default where it is not given, with the value at the end of the path."""
    if not path:
        return value
    head, *rest = path
    if node is None:
        node = default if isinstance(default, list) else {}
    if isinstance(node, list):
        if not head.isdecimal() or int(head) >= len(node):
            raise ConfigError(key, f"a list of {len(node)} entries has no {head!r}", "give an entry's number, from 0")
        return [_changed(item, rest, value, None, key) if n == int(head) else item for n, item in enumerate(node)]
    if not isinstance(node, Mapping):
        raise ConfigError(key, f"{node!r} has no keys", "set the key before it as a whole")
    below = default.get(head) if isinstance(default, Mapping) else None
    return {**node, head: _changed(node.get(head), rest, value, below, key)}


def read_yaml(path: Path) -> dict[str, Any]:
    """The keys and values of a YAML file.

    Raises:
        ConfigError: it cannot be read, is not YAML, or holds something else.
    """
    try:
        content = from_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read ({error.strerror})", "check the file's name") from None
    except RepeatedKeyError as error:
        raise ConfigError(f"{path}:{error.line}", str(error), "keep one of them") from None
    except NOT_YAML as error:
        raise ConfigError(str(path), f"is not YAML ({reason(error, MAX_LENGTH)})", "mend the file") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(str(path), f"holds a {type(content).__name__}", "write keys and values, such as seed: 0")
    return content


def as_number(value: Any) -> Any:
    """YAML 1.1 reads 1e-4 as a string; a person means a number. `007` may be a name."""
    with suppress(ValueError):
        return float(value) if isinstance(value, str) and not LEADING_ZERO.match(value) else value
    return value


def first_mistake(error: ValidationError, root: type[BaseModel] = Config) -> ConfigError:
    """The first mistake of a `root` as one line: an unknown key, with the nearest known one, before all others."""
    mistakes = _of_the_meant_variant(error.errors())
    mistake = next((m for m in mistakes if m["type"] == "extra_forbidden"), mistakes[0])
    path = _path(mistake)
    key = ".".join(map(str, path)) or "configuration"
    if mistake["type"] == "extra_forbidden":
        return ConfigError(key, "unknown key", _nearest(path, root))
    if mistake["type"] == "value_error":
        text = str(mistake["ctx"]["error"])
        if not path:  # a conflict between keys, whose message begins with the key
            key, _, text = text.partition(": ")
        found, _, remedy = text.partition("; ")
        return ConfigError(key, found, remedy or "mend the value")
    alternatives = dict.fromkeys(_expected(m) for m in mistakes if _path(m) == path)
    return ConfigError(key, f"{_shown(mistake['input'])} does not fit", " or ".join(alternatives))


def _of_the_meant_variant(mistakes: list[Any]) -> list[Any]:
    """Without the members of a union that do not know a key which another member knows."""
    unknown = [m["loc"][:-1] for m in mistakes if m["type"] == "extra_forbidden"]
    strange = {place for place in unknown if any(map(_is_variant, place))}
    shapes = ("literal_error", "float_type") if any(isinstance(m["input"], dict) for m in mistakes) else ("model_type",)
    meant = [m for m in mistakes if m["loc"][:-1] not in strange and m["type"] not in shapes]
    return meant or mistakes


def _path(mistake: Mapping[str, Any]) -> list[str | int]:
    *above, last = mistake["loc"] or [""]
    own = mistake["type"] == "extra_forbidden" or not _is_variant(last)  # an unknown key is the user's, whatever it is
    return [*(part for part in above if not _is_variant(part)), *([last] if own and last != "" else [])]


def _is_variant(part: str | int) -> bool:
    """Pydantic names the member of a union that it tried; a user has not written that."""
    return isinstance(part, str) and (part[:1].isupper() or "[" in part or part in ("int", "constrained-int"))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _expected(mistake: Mapping[str, Any]) -> str:
    if mistake["type"] == "invalid_key":
        return "write keys as words, such as seed"
    if mistake["type"] == "too_short":
        return f"give at least {mistake['ctx']['min_length']}"
    return "give " + str(mistake["msg"]).removeprefix("Input should be ").removeprefix("Value error, ")


def _nearest(path: list[str | int], root: type[BaseModel]) -> str:
    models: list[type[BaseModel]] = [root]
    for part in path[:-1]:
        models = _models_below(models, str(part))
    known = [name for model in models for name in model.model_fields]
    return instead_of(str(path[-1]), known)


def _models_below(models: list[type[BaseModel]], part: str) -> list[type[BaseModel]]:
    """The models that a field may hold; the entry of a list or dict field is passed through."""
    fields = [model.model_fields[part] for model in models if part in model.model_fields]
    return [model for field in fields for model in _models_in(field.annotation)] if fields else models


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models_in(argument)]
