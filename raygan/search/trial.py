"""One trial: a whole federation that an actor of Ray Tune drives, or holds, reported round by round.

A trial's folder holds its run (`run-1`), as `raygan train` writes it. What Ray Tune keeps as a checkpoint only names
a run and a round: the run's own checkpoints hold the state. From these two a trial that starts finds out what to do:

| Ray Tune's checkpoint | own last run | what happens |
|---|---|---|
| none | none | a new run |
| none, or of the own run | same configuration | the run is resumed; rounds that Ray Tune has not seen are reported |
| of another run, or of another configuration | begun from just that | the run is resumed |
| of another run, or of another configuration | otherwise | a new run is forked from it |
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ray import tune

from raygan.api import resume, train
from raygan.config.schema import Config
from raygan.run.events import Listener
from raygan.run.folder import RunFolder, fork
from raygan.run.plan import Plan
from raygan.search.reported import reported
from raygan.search.search import POINT, read_search
from raygan.storage import read_json, read_json_lines, write_json

SEARCH_FILE = "search.yaml"
ORIGIN_FILE = "origin.json"
REFERENCE_FILE = "round.json"


@dataclass(frozen=True)
class Reference:
    """A round of a run: what Ray Tune keeps as a checkpoint."""

    run: str
    """Its folder, as seen from the search's, which may be moved."""
    round: int
    """From 1; 0: nothing yet."""


def run_trial(given: Mapping[str, Any], folder: Path, classifiers: str | None) -> None:
    """The function that Ray Tune runs.

    Args:
        given: `set` (the point).
        folder: the search's.
        classifiers: `evaluation.cache` of all trials.
    """
    search = read_search(folder / SEARCH_FILE)
    config = with_cache(search.config_of(given[POINT]), classifiers)
    home = folder / trial_folder(tune.get_context().get_trial_id())
    checkpoint = tune.get_checkpoint()
    known = None if checkpoint is None else known_reference(checkpoint)
    run, is_new = prepare(home, config, known)
    reporter = Reporter(run, known.round if known else 0)
    if is_new:
        train(config, run, in_process=search.config.in_process, listener=reporter)
    else:
        resume(run, address=config.ray.address, in_process=search.config.in_process, listener=reporter)
    reporter.catch_up()


def trial_folder(trial_id: str) -> str:
    """Name of a trial's folder in its search's."""
    return f"trial-{trial_id}"


def prepare(home: Path, config: Config, known: Reference | None, source: Path | None = None) -> tuple[Path, bool]:
    """The run to go on with, and whether it is new: the table at the top.

    Args:
        home: the trial's folder.
        known: the checkpoint that Ray Tune starts the trial from.
        source: a folder that holds the run which that names; None: it is beside the trial's.
    """
    runs = sorted(home.glob("run-*"), key=lambda path: int(path.name.removeprefix("run-")))
    runs = [run for run in runs if RunFolder(run).config_file.exists()]
    own = runs[-1] if runs else None
    same = own is not None and _same(RunFolder(own).config(), config)
    if own is not None and same and (known is None or _name(own) == known.run or _origin(own) == known):
        return own, False
    new = home / f"run-{len(runs) + 1}"
    if known is None:
        return new, True
    fork(source or home.parent / known.run, known.round, config, new)
    write_json(new / ORIGIN_FILE, asdict(known))
    return new, False


class Reporter(Listener):
    """Tells Ray Tune of every round that it has not seen, with a checkpoint."""

    def __init__(self, run: Path, told: int) -> None:
        self.path, self._folder, self._told = run, RunFolder(run), told
        self._seen = self._bytes = 0

    def on_start(self, plan: Plan, num_steps: int, first_round: int, dashboard: str | None) -> None:
        """Tells of rounds that the run has from before."""
        self.catch_up()

    def on_round(self, metrics: dict[str, Any]) -> None:
        """Tells of the round."""
        self.catch_up()

    def catch_up(self) -> None:
        """Goes through the lines of `metrics.jsonl` that are new."""
        for metrics in read_json_lines(self._folder.metrics_file)[self._seen :]:
            report = reported(metrics, self._folder.documents(), self._bytes)
            self._seen, self._bytes = metrics["round"], report["bytes_total"]
            if metrics["round"] > self._told:
                self._told = metrics["round"]
                reference = Reference(_name(self._folder.path), self._told)
                with tempfile.TemporaryDirectory() as folder:
                    written = self.write_checkpoint(reference, Path(folder))
                    checkpoint = tune.Checkpoint.from_directory(folder) if written else None
                    tune.report({**report, "run": reference.run}, checkpoint=checkpoint)

    def write_checkpoint(self, reference: Reference, folder: Path) -> bool:
        """Fills a folder for Ray Tune to keep; returns whether there is anything to keep."""
        write_json(folder / REFERENCE_FILE, asdict(reference))
        return True


def _name(run: Path) -> str:
    """A run's folder, as seen from the search's."""
    return f"{run.parent.name}/{run.name}"


def _same(one: Config, other: Config) -> bool:
    """Whether only the cluster, the places there and the cache differ, if anything: no number depends on them."""
    places = ("address", "placement", "cpus_per_actor", "memory_per_actor")
    there = other.ray.model_copy(update={key: getattr(one.ray, key) for key in places})
    return one == with_cache(other.model_copy(update={"ray": there}), one.evaluation.cache)


def with_cache(config: Config, cache: str | None) -> Config:
    """The same configuration with its classifiers in another folder."""
    evaluation = config.evaluation.model_copy(update={"cache": cache})
    return config.model_copy(update={"evaluation": evaluation})


def known_reference(checkpoint: tune.Checkpoint) -> Reference:
    """The round that a checkpoint names."""
    with checkpoint.as_directory() as folder:
        return Reference(**read_json(Path(folder) / REFERENCE_FILE))


def _origin(run: Path) -> Reference | None:
    file = run / ORIGIN_FILE
    return Reference(**read_json(file)) if file.exists() else None
