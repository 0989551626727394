"""From a file and `--set` to a `Config`: one door, one clear line for the first mistake."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml

from raygan.config.mistakes import WORDS, shown
from raygan.config.scenarios import with_scenario
from raygan.config.schema import Config, DomainConfig
from raygan.config.yaml_text import RepeatedKeyError, from_yaml
from raygan.errors import MAX_LENGTH, ConfigError, reason

NOT_YAML = (yaml.YAMLError, ValueError, AttributeError, TypeError, RecursionError)
"""What PyYAML raises: its own errors, and others for texts such as `2001-99-99`, `!!int a` or a thousand brackets."""

LEADING_ZERO = re.compile(r"\s*[-+]?0\d")


def read_config(path: str | Path | None = None, overrides: Iterable[str] = ()) -> Config:
    """The configuration of a YAML file (None: the default) with `key.path=value` overrides; else a ConfigError."""
    settings = {} if path is None else read_yaml(Path(path))
    return changed_config(settings, [parse_override(override) for override in overrides])


def changed_config(
    settings: Mapping[str, Any], changes: Sequence[tuple[str, Any]], above: Mapping[str, Any] | None = None
) -> Config:
    """Nested settings with others laid over them, then dotted keys changed, in order: the one door for `--set` and for
    searches; errors as `read_config`.

    Args:
        above: as `laid_over` takes them; None: none.
    """
    above = above or {}
    for key, value in (*above.items(), *changes):
        if key == "scenario":  # first, so that data.domains.0.clients=3 reaches into the scenario's domains
            settings = with_scenario(set_key(settings, key, value))
    settings = laid_over(settings, above)
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
    privacy = config.privacy
    if not privacy.keys.startswith("~"):
        privacy = privacy.model_copy(update={"keys": str(start / privacy.keys)})
    data = config.data.model_copy(update={"domains": domains})
    return config.model_copy(update={"data": data, "evaluation": evaluation, "model": model, "privacy": privacy})


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
    settings = with_even_labels(with_scenario(settings))
    for key in settings:
        if not isinstance(key, str):
            raise ConfigError(str(key), f"{key!r} does not fit", WORDS)
    return Config(**settings)


def with_even_labels(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings; where D is hidden, fakes' labels are even unless something is said of them."""
    privacy, training = (settings.get(key) or {} for key in ("privacy", "training"))
    if not (
        isinstance(privacy, Mapping) and isinstance(training, Mapping) and privacy.get("hide_discriminator") is True
    ):
        return settings
    return {**settings, "training": {"fake_labels": "even", **training}}


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
            f"--set {key}", f"{shown(value)} is not YAML ({reason(error, 200)})", "quote the value"
        ) from None


def set_key(settings: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A copy of nested settings with one dotted key changed; `data.domains.0.clients` reaches into lists, and the number
    after a list's last adds an entry.

    Raises:
        ConfigError: a list has no such entry, or the way leads through a value that has no keys.
    """
    changed: dict[str, Any] = _changed(settings, key.split("."), value, Config().model_dump(mode="json"), key)
    return changed


def laid_over(settings: Mapping[str, Any], above: Mapping[str, Any], prefix: str = "") -> Mapping[str, Any]:
    """A copy of nested settings with others laid over them: key by key where both have keys (or a list's entries), as a
    whole where a value has none, such as `training.lr: {generator: 5.0e-4}` over a number. Keys may be dotted.

    Raises:
        ConfigError: as `set_key`.
    """
    for key, value in above.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value and _takes_keys(settings, name.split(".")):
            settings = laid_over(settings, value, f"{name}.")
        else:
            settings = set_key(settings, name, value)
    return settings


def _takes_keys(node: Any, path: Sequence[str]) -> bool:
    """Whether what is at the end of the path has keys or entries, or is not given; where there is no way, `set_key` says
    so."""
    for part in path:
        if isinstance(node, list):
            node = node[int(part)] if part.isdecimal() and int(part) < len(node) else None
        else:
            node = node.get(part) if isinstance(node, Mapping) else None
    return node is None or isinstance(node, (Mapping, list))


def _changed(node: Any, path: list[str], value: Any, default: Any, key: str) -> Any:
    """`node`, or the default where it is not given, with the value at the end of the path."""
    if not path:
        return value
    head, *rest = path
    if node is None:
        node = default if isinstance(default, list) else {}
    if isinstance(node, list):
        if head == str(len(node)):
            return [*node, _changed(None, rest, value, None, key)]
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
    except IsADirectoryError:
        found = "is a folder, and what an empty name means" if path == Path() else "is a folder"
        of_run = path / "config.yaml"
        remedy = f"give the file in it, {of_run}" if of_run.is_file() else "give a file (YAML)"
        raise ConfigError(str(path), found, remedy) from None
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
