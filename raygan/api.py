"""The front door: `train` and `resume` a whole run, with its plan, parties, rounds, scores and files."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from raygan.algorithms import algorithm_of
from raygan.config.loading import absolute_paths, changed_config, parse_override
from raygan.config.schema import Config
from raygan.data import DomainInfo
from raygan.errors import ConfigError, RunError
from raygan.parties.evaluator import Evaluator
from raygan.run.engine import Engine
from raygan.run.events import Listener, Listeners
from raygan.run.folder import RunFolder
from raygan.run.going_on import Continuation, check_configuration, check_data, check_files
from raygan.run.joining import check_new_domains, with_news
from raygan.run.mirror import Mirror, is_uri
from raygan.run.plan import Plan, planned
from raygan.run.scoring import evaluator_plan
from raygan.run.stored import Run
from raygan.runtime.backend import Backend
from raygan.telemetry.bar import Bar

if TYPE_CHECKING:
    from raygan.telemetry.callbacks import Callback

__all__ = ["Run", "resume", "train"]


def train(
    config: Config,
    out: str | Path | None = None,
    *,
    in_process: bool = False,
    listener: Listener | None = None,
    progress: bool = True,
    tensorboard: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Trains as the configuration says and returns the run.

    Args:
        out: the run's folder, or a storage URI, whose local folder is then a new one under `runs/`; None: a new
            one under `runs/` without a copy.
        in_process: run everything in this process, without Ray. Equal seeds give equal numbers.
        listener: told of what happens; None: a progress bar.
        progress: whether there is that bar, on standard error or in the notebook.
        tensorboard: write event files to `tensorboard/` in the run's folder: losses, scores, pictures.
        callbacks: more that are told: listeners, or logger callbacks of Ray Tune's, such as `WandbLoggerCallback(...)`,
            which take the run for a trial.

    Raises:
        InputError: a configuration, data or cluster that cannot be used; found before training starts.
    """
    called = time.perf_counter()
    if not isinstance(config, Config):
        found = f"a {type(config).__name__} where a Config belongs"
        raise ConfigError("raygan.train", found, "give Config(), read_config(file) or make_config({...})")
    if out == "":
        raise RunError("--out", "is empty", "give the folder of the run")
    if isinstance(out, str) and is_uri(out):
        config, out = with_storage(config, out), run_folder(out)
    config = absolute_paths(config)
    folder = RunFolder.new(run_folder(out))
    listener = listener or (Bar() if progress else Listener())
    with planned(config, in_process, listener.on_wait) as plan:
        mirror = _mirror(config)
        if mirror is not None:
            mirror.check_new()
        documents = plan.documents
        with _backend(plan, folder, in_process, listener) as (backend, dashboard):
            folder.create(config, documents, plan.infos)
            with folder.locked():
                if mirror is not None:
                    mirror.push(folder.path)
                with _told(listener, folder, in_process, tensorboard, callbacks) as told:
                    Engine(plan, folder, backend, told, mirror).run(dashboard, time.perf_counter() - called)
    return Run.load(folder.path)


def resume(
    path: str | Path,
    *,
    changes: Sequence[str] = (),
    address: str | None = None,
    wait_for_nodes_s: float | None = None,
    in_process: bool = False,
    listener: Listener | None = None,
    progress: bool = True,
    tensorboard: bool = False,
    callbacks: Sequence[Callback] = (),
) -> Run:
    """Continues an interrupted run after its last whole round; the numbers are those of a run that was not
    interrupted. A run that has ended is returned as it is; with more `training.rounds` it goes on.

    Args:
        path: the run's folder, or its storage URI: then it is fetched into a new folder under `runs/` first.
        changes: `key=value` of what may change in a run (`raygan.run.going_on`), kept in its `config.yaml`.
        address: another Ray cluster than the run's configuration names; None: as configured.
        wait_for_nodes_s: another wait than `ray.wait_for_nodes_s`; None: as configured.
        in_process, listener, progress, tensorboard, callbacks: as for `train`.

    Raises:
        RunError: there is no run in the folder, or its files contradict each other.
        InputError: as `train`, and a configuration or data that has become another.
    """
    called = time.perf_counter()
    run = Run.load(fetched(path))
    resumed = _resumed(run, changes)
    if run.ended and resumed.config.training.rounds <= run.config.training.rounds:
        return run
    config = _as_here(run, resumed, address, wait_for_nodes_s)
    listener = listener or (Bar() if progress else Listener())
    folder, known = RunFolder(run.path), _known(run, resumed)
    with (
        folder.locked(),
        planned(config, in_process, listener.on_wait, folder.documents(), known or ()) as plan,
        _checked_backend(plan, known, folder, in_process, listener) as (backend, dashboard),
    ):
        if resumed.members_change:
            folder.write_documents(plan.documents, plan.infos)
            plan = with_news(plan, resumed.before, folder)
        if changes or resumed.config != run.config:
            folder.write_config(resumed.config)
        with _told(listener, folder, in_process, tensorboard, callbacks) as told:
            Engine(plan, folder, backend, told, _mirror(config)).run(dashboard, time.perf_counter() - called)
    return Run.load(folder.path)


@contextmanager
def resumed_plan(
    path: Path, changes: Sequence[str] = (), address: str | None = None, wait_for_nodes_s: float | None = None
) -> Iterator[Plan]:
    """The plan by which `resume` would go on, with the same arguments; nothing of the run is changed. Errors as there."""
    run = Run.load(path)
    resumed = _resumed(run, changes)
    config, known = _as_here(run, resumed, address, wait_for_nodes_s), _known(run, resumed)
    with planned(config, documents=RunFolder(run.path).documents(), known=known or ()) as plan:
        _check_domains(plan, known)
        yield plan


def _resumed(run: Run, changes: Sequence[str]) -> Continuation:
    """How a run goes on with such changes."""
    kept = absolute_paths(changed_config(run.config.model_dump(mode="json"), list(map(parse_override, changes))))
    return check_configuration(RunFolder(run.path), run.config, kept)


def _as_here(run: Run, resumed: Continuation, address: str | None, wait_for_nodes_s: float | None) -> Config:
    """The configuration with which it goes on now, where the run's files allow it."""
    here = {"address": address, "wait_for_nodes_s": wait_for_nodes_s}
    given = [(f"ray.{key}", value) for key, value in here.items() if value is not None]
    config = changed_config(resumed.config.model_dump(mode="json"), given)
    check_files(RunFolder(run.path), config, algorithm_of(config.algorithm).record_names)
    if run.rounds:  # the run that it began with may be gone by now
        config = config.model_copy(update={"model": config.model.model_copy(update={"start_from": None})})
    return config


def _known(run: Run, resumed: Continuation) -> Sequence[DomainInfo] | None:
    """What is known of the domains that it had; None: nothing."""
    folder = RunFolder(run.path)
    return folder.infos()[: len(resumed.before.domains)] if folder.domains_file.exists() else None


@contextmanager
def _told(
    listener: Listener, folder: RunFolder, in_process: bool, tensorboard: bool, callbacks: Sequence[Callback]
) -> Iterator[Listener]:
    """The listener and all others that are told: on Ray one that publishes the metrics, and what was asked for. They are
    told of the end, whatever it is."""
    told = [listener]
    if not in_process:
        from raygan.telemetry.recorder import Recorder

        told.append(Recorder(folder.path.name))
    if tensorboard:
        from raygan.telemetry.tensorboard import TensorBoard

        told.append(TensorBoard(folder.path / "tensorboard", folder.samples))
    for callback in callbacks:
        if isinstance(callback, Listener):
            told.append(callback)
        else:
            from raygan.telemetry.callbacks import RunCallback

            told.append(RunCallback(callback, folder.path, listener.on_fault))
    everybody = Listeners(told)
    try:
        yield everybody
    finally:
        everybody.on_end()


def fetched(path: str | Path) -> Path:
    """The run's local folder; of a storage URI the folder under `runs/` into which the run is fetched now.

    Raises:
        RunError: no run at the URI, or the folder is there already.
    """
    if not (isinstance(path, str) and is_uri(path)):
        return Path(path)
    folder = RunFolder(local_folder(path))
    Mirror(path).pull(folder.path)
    folder.write_config(with_storage(Run.load(folder.path).config, path))  # it may have been moved
    return folder.path


def check_out(config: Config, out: str | None) -> None:
    """Nothing, if a run could begin there, and its copy at its URI; nothing is left there.

    Raises:
        RunError: it could not.
    """
    if out is not None and is_uri(out):
        config, out = with_storage(config, out), str(run_folder(out))
    if out is not None:
        RunFolder.new(run_folder(out))
    if (mirror := _mirror(config)) is not None:
        mirror.check_new()


def with_storage(config: Config, uri: str) -> Config:
    """The same configuration with a copy at the URI."""
    checkpoints = config.checkpoints.model_copy(update={"storage": uri.rstrip("/")})
    return config.model_copy(update={"checkpoints": checkpoints})


def run_folder(out: str | Path | None) -> Path:
    """Where a run's files are on this machine, as `train` takes `out`."""
    if not out:
        return default_folder()
    return local_folder(out) if isinstance(out, str) and is_uri(out) else Path(out)


def local_folder(uri: str) -> Path:
    """Where a run at a URI has its files on this machine: `runs/` and the URI's last part."""
    name = uri.rstrip("/").rpartition("/")[2]
    return Path("runs") / name if name.strip(".") else default_folder()


def _mirror(config: Config) -> Mirror | None:
    """The run's copy; None: it has none.

    Raises:
        RunError: the URI cannot be used.
    """
    return None if config.checkpoints.storage is None else Mirror(config.checkpoints.storage)


def push_copy(run: Run) -> None:
    """Brings a run's copy up to date, where it has one.

    Raises:
        RunError: it cannot be reached.
    """
    if (mirror := _mirror(run.config)) is not None:
        mirror.push(run.path)


def default_folder() -> Path:
    """A new folder under `runs/`, named by the time."""
    return Path("runs") / datetime.now().strftime("%Y%m%d-%H%M%S")


@contextmanager
def _checked_backend(
    plan: Plan, known: Sequence[DomainInfo] | None, folder: RunFolder, in_process: bool, listener: Listener
) -> Iterator[tuple[Backend, str | None]]:
    """As `_backend`, once the data is found to be what the run began with, and new domains fit."""
    _check_domains(plan, known)
    with _backend(plan, folder, in_process, listener) as started:
        yield started


def _check_domains(plan: Plan, known: Sequence[DomainInfo] | None) -> None:
    """Holds a plan's domains against what is known of those that the run had; None: nothing."""
    if known is not None:
        check_new_domains(known, plan.infos, plan.config)
        check_data(known, plan.infos[: len(known)])


@contextmanager
def _backend(
    plan: Plan, folder: RunFolder, in_process: bool, listener: Listener
) -> Iterator[tuple[Backend, str | None]]:
    """The parties, in this process or as Ray actors, for the time of the run."""
    config, parties = plan.config, plan.algorithm.parties()
    scored = evaluator_plan(config, plan.shape, plan.layout.spec, str(folder.samples), plan.infos)
    evaluator = replace(scored, models_from=plan.algorithm.models_from)
    if in_process:
        from raygan.runtime.in_process import InProcessBackend

        with closing(InProcessBackend(parties, config, partial(Evaluator, evaluator))) as local:
            yield local, None
        return
    from raygan.runtime.ray.backend import RayBackend
    from raygan.runtime.ray.cluster import connection

    namespace = f"raygan-{folder.path.name}"
    with (
        connection(parties, config, namespace, listener.on_wait) as (placed, dashboard),
        closing(RayBackend(parties, placed, evaluator)) as backend,
    ):
        yield backend, dashboard
