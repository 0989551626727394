"""A federation as a trainable of Ray Tune, for a `tune.Tuner` with one's own space, scheduler, searcher and callbacks.

What Ray Tune keeps as a checkpoint is a run's folder up to that round: `raygan.Run.load(result.checkpoint.path)` opens
it, another trial (PBT) or a restored experiment goes on from it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from pyarrow.fs import LocalFileSystem
from ray import tune
from ray.tune import PlacementGroupFactory

from raygan.api import resume, train
from raygan.config.loading import absolute_paths, changed_config, make_config, read_config
from raygan.config.schema import Config
from raygan.errors import ConfigError, RunError
from raygan.run.folder import RunFolder, fork
from raygan.run.going_on import FREE, differences
from raygan.runtime.ray.placing import chosen
from raygan.search.bundles import placement
from raygan.search.checks import check_places
from raygan.search.reported import reported
from raygan.search.scheduling import CHANGEABLE
from raygan.search.schema import TrialResources
from raygan.search.trial import Reference, Reporter, known_reference, prepare
from raygan.storage import read_json_lines

MIN_KEPT = 4
"""Checkpoints of a run: a round is reported with its scores, up to two rounds later."""


def trainable(
    base: Config | Mapping[str, Any] | str | Path | None = None,
    *,
    cpus_per_trial: float = 1,
    gpus_per_trial: float = 0,
    in_process: bool = False,
) -> Callable[[dict[str, Any]], None]:
    """What `tune.Tuner` takes: each trial is a whole federation, reported after every round.

    The keys of `param_space` are the configuration's, dotted (`"training.lr": tune.loguniform(1e-4, 1e-3)`) or nested.
    A trial's report has all scores as means over the domains (`label_agreement`, ...), with `/DOMAIN` for each,
    losses, bytes and predicted seconds (`raygan/search/reported.py`). Its placement group has a bundle for each
    actor. Its run is in the trial's folder of the experiment, or in its working directory where the storage is a URI.

    Args:
        base: what all trials share: a configuration, its settings, or a file's path; None: the demo.
        cpus_per_trial: CPUs of the process that drives a trial; of all its processes together where actors are placed
            by CPUs (`ray.placement`).
        gpus_per_trial: GPUs of the process that drives it.
        in_process: each trial runs in the process that drives it, without actors: equal numbers.

    Raises:
        ConfigError: a mistake in the base; in `Tuner.fit` one in the space.
    """
    config = absolute_paths(_read(base))
    settings, start = config.model_dump(mode="json"), Path.cwd()
    resources = TrialResources(cpus_per_trial=cpus_per_trial, gpus_per_trial=gpus_per_trial)
    make = partial(_config, settings, start, in_process)
    make({})

    def bundles(given: dict[str, Any]) -> PlacementGroupFactory:
        asked = make(given)
        return placement(asked if in_process else chosen(asked), resources, in_process)

    def raygan_trial(given: dict[str, Any]) -> None:
        _train(make(given), in_process)

    made: Callable[[dict[str, Any]], None] = tune.with_resources(raygan_trial, bundles)
    return made


def result_of(run_path: str | Path) -> tune.Result:
    """A run in the form in which Ray Tune and Ray Train give results: `metrics` of its last round, with its
    configuration; `metrics_dataframe`, a row a round; `checkpoint`, which is the run's folder; `path`.

    Raises:
        RunError: there is no run in the folder.
    """
    import pandas as pd

    from raygan.run.stored import Run

    run = Run.load(run_path)
    folder, rows = RunFolder(run.path), list[dict[str, Any]]()
    for line in read_json_lines(folder.metrics_file):
        rows.append(reported(line, folder.documents(), rows[-1]["bytes_total"] if rows else 0))
    last = {**(rows[-1] if rows else {}), "config": run.config.model_dump(mode="json")}
    path = str(run.path.absolute())
    return tune.Result(last, tune.Checkpoint(path), None, path, pd.DataFrame(rows))


def _read(base: Config | Mapping[str, Any] | str | Path | None) -> Config:
    if isinstance(base, Config):
        return base
    return make_config(base) if isinstance(base, Mapping) else read_config(base)


def _config(settings: Mapping[str, Any], start: Path, in_process: bool, given: Mapping[str, Any]) -> Config:
    """A trial's configuration; searchers give numbers of NumPy's."""
    config = absolute_paths(changed_config(settings, [], _plain(given)), start)
    check_places(config)
    if in_process and config.devices.emulate:
        found = "true, but each trial runs in one process (in_process)"
        raise ConfigError("devices.emulate", found, "set one of the two to false")
    keep = config.checkpoints.keep
    checkpoints = config.checkpoints.model_copy(update={"keep": None if keep is None else max(keep, MIN_KEPT)})
    return config.model_copy(update={"checkpoints": checkpoints})


def _plain(value: Any) -> Any:
    """The value with Python's numbers in place of NumPy's."""
    if isinstance(value, Mapping):
        return {key: _plain(below) for key, below in value.items()}
    return value.item() if hasattr(value, "item") else value


def _train(config: Config, in_process: bool) -> None:
    """One trial, from wherever it is."""
    checkpoint, home = tune.get_checkpoint(), _home()
    if checkpoint is None:
        known, (run, is_new) = None, prepare(home, config, None)
    else:
        known = known_reference(checkpoint)
        with checkpoint.as_directory() as source:
            _check_changes(RunFolder(Path(source)).config(), config)
            run, is_new = prepare(home, config, known, Path(source))
    reporter = WholeReporter(run, known.round if known else 0)
    if is_new:
        train(config, run, in_process=in_process, listener=reporter)
    else:
        resume(run, address=config.ray.address, in_process=in_process, listener=reporter)
    reporter.catch_up()


class WholeReporter(Reporter):
    """As `Reporter`, with checkpoints that hold the run."""

    def write_checkpoint(self, reference: Reference, folder: Path) -> bool:
        """The run up to that round; of a round without a checkpoint none."""
        run = RunFolder(self.path)
        with suppress(RunError):
            fork(run.path, reference.round, run.config(), folder)
            return super().write_checkpoint(reference, folder)
        return False


def _home() -> Path:
    """The trial's folder, where actors on other nodes see it too; where the storage is no file system, this node's."""
    storage = tune.get_context().get_storage()
    is_local = isinstance(storage.storage_filesystem, LocalFileSystem)
    return Path(storage.trial_fs_path if is_local else storage.trial_working_directory)


def _check_changes(before: Config, after: Config) -> None:
    """Refuses to go on with another configuration from which a checkpoint has its shape."""
    for key, *_ in differences(before.model_dump(mode="json"), after.model_dump(mode="json")):
        if not (FREE.fullmatch(key) or key == "seed" or key.startswith(CHANGEABLE)):
            raise ConfigError(key, "cannot change between two rounds of a run", f"use {', '.join(CHANGEABLE)}")
