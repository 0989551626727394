"""Whether a run can go on as its folder and configuration are now: what contradicts itself is refused, untouched.

A checkpoint knows the configuration that it was trained with. Of that, only what changes no number of the rounds that
are done may be another: `FREE`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from typing import Any

from pydantic import ValidationError

from raygan.algorithms import algorithm_of
from raygan.config.schema import SOURCES, Config, DataConfig
from raygan.data import DomainInfo
from raygan.errors import ConfigError, DataError, RunError
from raygan.run.checkpoints import Checkpoints, Manifest
from raygan.run.folder import RunFolder
from raygan.run.forms import malformed
from raygan.run.joining import check_members, with_joined
from raygan.runtime.limits import LIMITS
from raygan.storage import whole_json_lines

FREE = re.compile(
    r"(scenario|model\.start_from|privacy\.keys|training\.(rounds|min_clients)|data\.(root|download)|devices\.emulate"
    rf"|data\.domains\.\d+\.({'|'.join(SOURCES)}|labels)"
    r"|devices\.profiles\.[^.]+\.(resources|num_cpus|num_gpus|labels|source))(\..*)?"
    r"|(evaluation|checkpoints|ray)\..*"
)
"""Keys that may change: how long, what is scored and kept, where it runs, and where the same data lies now."""
MAX_SHOWN = 3


@dataclass(frozen=True)
class Continuation:
    """A run that may go on."""

    config: Config
    """With those who have joined."""
    before: DataConfig
    """What its last checkpoint knew of its clients."""
    members_change: bool
    """Whether clients join or leave."""


def check_configuration(folder: RunFolder, kept: Config, config: Config) -> Continuation:
    """Holds a configuration against that of the run's last checkpoint.

    Args:
        kept: what the run's file says.
        config: what it is to go on with.

    Raises:
        ConfigError: keys differ that must not, there are fewer rounds than are done, or clients cannot join or leave.
        RunError: a damaged file.
    """
    done = _num_lines(folder, "metrics")
    if config.training.rounds < done:
        found = f"{config.training.rounds}, but {done} rounds are done"
        raise ConfigError("training.rounds", found, f"give at least {done}")
    last = _last_manifest(Checkpoints(folder.checkpoints, config.checkpoints))
    if last is None or last.config is None:  # of a raygan whose checkpoints did not know theirs
        config = with_joined(kept.data, config, 0 if last is None else last.round)
        return Continuation(config, kept.data, check_members(kept.data, config, done))
    before = data_of(last, folder)
    config = with_joined(before, config, last.round)
    found_now = differences(last.config, _as_before(config.model_dump(mode="json"), last.config))
    changed = [(key, before, after) for key, before, after in found_now if not FREE.fullmatch(key)]
    if changed:
        told = ", ".join(f"{key} {after!r} instead of {before!r}" for key, before, after in changed[:MAX_SHOWN])
        more = f" and {len(changed) - MAX_SHOWN} more" if len(changed) > MAX_SHOWN else ""
        found = f"differs from what round {last.round} was trained with: {told}{more}"
        raise ConfigError(str(folder.config_file), found, "put it back, or train a new run")
    rounds_before = last.config["training"]["rounds"]
    planned = None
    if algorithm_of(config.algorithm).plans_by_rounds(config):
        planned = f"algorithm {config.algorithm} has planned"
    elif config.training.lr_schedule != "constant":
        planned = f"training.lr_schedule {config.training.lr_schedule} goes"
    if rounds_before != config.training.rounds and planned is not None:
        found = f"{config.training.rounds} instead of {rounds_before}, by which {planned}"
        raise ConfigError("training.rounds", found, "put it back, or train a new run")
    return Continuation(config, before, check_members(before, config, done))


def data_of(manifest: Manifest, folder: RunFolder) -> DataConfig:
    """What a checkpoint's configuration says of its clients.

    Raises:
        RunError: it cannot be read.
    """
    try:
        return DataConfig.model_validate((manifest.config or {}).get("data", {}))
    except ValidationError as error:
        where = str(folder.checkpoints / f"round-{manifest.round:04d}")
        raise malformed(where, error, "use another round") from None


def _as_before(now: dict[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as it would be if nobody had joined or left since."""
    data, old = now["data"], before["data"]
    pairs = zip(old["domains"], data["domains"], strict=False)
    domains = [{**domain, "clients": was["clients"]} for was, domain in pairs]
    joined = data["joined"][: len(old.get("joined", ()))]
    return {**now, "data": {**data, "domains": domains, "joined": joined, "left": old.get("left", [])}}


def check_files(folder: RunFolder, config: Config, record_names: Sequence[str]) -> None:
    """Looks whether checkpoints and lines are of one run, as no interruption takes them apart.

    Raises:
        RunError: files are gone, or stem from another time.
    """
    checkpoints = Checkpoints(folder.checkpoints, config.checkpoints)
    written, last = _num_lines(folder, "metrics"), max((c.round + 1 for c in checkpoints.stored()), default=0)
    remedy = "put it back, or train a new run"
    for name in record_names:  # a round's records are written before its metrics
        if written and not _num_lines(folder, name):
            found = f"has no line, but metrics.jsonl has {written}"
            raise RunError(str(folder.record_file(name)), found, remedy)
    if folder.summary_file.exists() and not written:
        found = f"has no whole line, but the run has ended after {folder.summary()['rounds']} rounds (summary.json)"
        raise RunError(str(folder.metrics_file), found, remedy)
    if last > written + LIMITS.rounds_unscored + 1:
        found = f"has whole lines of {written} rounds, but there is a checkpoint of round {last}"
        raise RunError(str(folder.metrics_file), found, remedy)
    due = any(checkpoints.due(number, config.training.rounds) for number in range(written))
    damages: list[str] = []
    if due and not checkpoints.last_whole(written, damages.append):
        found = damages[0] if damages else f"has none of the {written} rounds in metrics.jsonl"
        raise RunError(str(folder.checkpoints), found, remedy)


def check_data(before: Sequence[DomainInfo], now: Sequence[DomainInfo]) -> None:
    """Holds the domains, as they are read now, against what the run began with.

    Raises:
        DataError: a domain has become another.
    """
    if len(before) != len(now):
        found, remedy = f"{len(now)} domains, but the run began with {len(before)}", "put config.yaml back"
        raise DataError("data.domains", found, remedy)
    for index, (old, new) in enumerate(zip(before, now, strict=True)):
        for part in fields(DomainInfo):
            was, found = getattr(old, part.name), getattr(new, part.name)
            if was not in (None, found):
                told = "other images" if part.name == "digest" else f"{part.name} {found}, not {was}"
                remedy = "give the data that the run began with, or train a new run"
                raise DataError(f"data.domains[{index}]", f"is not what the run began with: {told}", remedy)


def _last_manifest(checkpoints: Checkpoints) -> Manifest | None:
    for checkpoint in reversed(checkpoints.stored()):
        with suppress(RunError):
            return checkpoint.manifest()
    return None


def _num_lines(folder: RunFolder, name: str) -> int:
    return len(whole_json_lines(folder.record_file(name))[0])


def differences(before: Any, after: Any, key: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Dotted keys of the first that the second has otherwise; what only the second has came with a later raygan."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for name, value in before.items():
            yield from differences(value, after.get(name), f"{key}.{name}" if key else str(name))
    elif _are_parts(before, after):
        for number, pair in enumerate(zip(before, after, strict=True)):
            yield from differences(*pair, f"{key}.{number}")
    elif before != after:
        yield key, before, after


def _are_parts(before: Any, after: Any) -> bool:
    """Whether both are lists of as many sections."""
    lists = isinstance(before, list) and isinstance(after, list) and len(before) == len(after)
    return lists and all(isinstance(entry, Mapping) for entry in (*before, *after))
