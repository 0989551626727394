"""A whole run: plan, actors, rounds, scores, files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from raygan.actors.group import Group
from raygan.config.loading import absolute_paths
from raygan.config.schema import Config
from raygan.errors import RunError
from raygan.training.folder import RunFolder
from raygan.training.listener import Listener
from raygan.training.plan import Plan, make_plan
from raygan.training.run import Run
from raygan.training.scoring import evaluator_plan
from raygan.training.session import Session

CLASSIFIER_CACHE = Path("~/.cache/raygan/classifiers")


def train(
    config: Config, out: str | Path | None = None, *, twin: bool = False, listener: Listener | None = None
) -> Run:
    """Trains as the configuration says and returns the run.

    Args:
        out: the run's folder; None: a new one under `runs/`.
        twin: run everything in this process, without Ray. Equal seeds give equal numbers.
        listener: told of what happens.

    Raises:
        InputError: a configuration, data or cluster that cannot be used; found before training starts.
    """
    config = absolute_paths(config)
    plan = make_plan(config)
    folder = RunFolder.new(Path(out) if out else default_folder())
    with _group(plan, folder, twin) as (group, dashboard):
        folder.create(config, plan.cuts.to_json())
        Session(plan, folder, group, listener or Listener()).run(dashboard)
    return Run.load(folder.path)


def resume(
    path: str | Path, *, address: str | None = None, twin: bool = False, listener: Listener | None = None
) -> Run:
    """Continues an interrupted run after its last whole round; the numbers are those of a run that was not
    interrupted. A run that has ended is returned as it is.

    Args:
        path: the run's folder.
        address: another Ray cluster than the run's configuration names; None: as configured.
        twin, listener: as for `train`.

    Raises:
        RunError: there is no run in the folder.
        InputError: as `train`.
    """
    run = Run.load(path)
    if run.ended:
        return run
    config = run.config
    if address is not None:
        config = config.model_copy(update={"ray": config.ray.model_copy(update={"address": address})})
    plan = make_plan(config)
    folder = RunFolder(run.path)
    if (kept := folder.kept_cuts()) is not None and kept != plan.cuts.cuts:
        raise RunError(
            str(folder.cuts_file), "these cuts are not what the planner finds now", "fix them in cuts.fixed"
        )
    with _group(plan, folder, twin) as (group, dashboard):
        Session(plan, folder, group, listener or Listener()).run(dashboard)
    return Run.load(folder.path)


def default_folder() -> Path:
    """A new folder under `runs/`, named by the time."""
    return Path("runs") / datetime.now().strftime("%Y%m%d-%H%M%S")


@contextmanager
def _group(plan: Plan, folder: RunFolder, twin: bool) -> Iterator[tuple[Group, str | None]]:
    """The federation, in this process or as Ray actors, for the time of the run."""
    config, layout = plan.config, plan.layout
    cache = str(CLASSIFIER_CACHE.expanduser())
    evaluator = evaluator_plan(config, plan.shape, layout.spec, str(folder.samples), cache)
    if twin:
        from raygan.actors.local import LocalGroup

        local = LocalGroup(layout, config, evaluator)
        try:
            yield local, None
        finally:
            local.close()
        return
    from raygan.actors.cluster import connection
    from raygan.actors.ray_group import RayGroup

    with connection(layout, config, namespace=f"raygan-{folder.path.name}") as dashboard:
        group = RayGroup(layout, config, evaluator)
        try:
            yield group, dashboard
        finally:
            group.close()
