"""A whole run: plan, actors, rounds, scores, files."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from raygan.actors.evaluator import ClusterTask, EvaluatorPlan
from raygan.actors.group import Group, Reference
from raygan.config.loading import absolute_paths
from raygan.config.schema import Config
from raygan.data.source import domain_label
from raygan.messages import Inventory, StepReport
from raygan.storage import write_json
from raygan.training.folder import Checkpoint, RunFolder
from raygan.training.listener import Listener
from raygan.training.metrics import cluster_record, mean_losses, round_metrics
from raygan.training.plan import Plan, make_plan
from raygan.training.round import RoundResult, train_round
from raygan.training.run import Run

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
        _Training(plan, folder, group, listener or Listener()).run(dashboard)
    return Run.load(folder.path)


def default_folder() -> Path:
    """A new folder under `runs/`, named by the time."""
    return Path("runs") / datetime.now().strftime("%Y%m%d-%H%M%S")


@contextmanager
def _group(plan: Plan, folder: RunFolder, twin: bool) -> Iterator[tuple[Group, str | None]]:
    """The federation, in this process or as Ray actors, for the time of the run."""
    config, layout = plan.config, plan.layout
    evaluator = EvaluatorPlan(
        data=config.data,
        shape=plan.shape,
        spec=layout.spec,
        blocks=config.model.blocks,
        seed=config.seed,
        num_images=config.evaluation.images,
        samples=str(folder.samples),
        cache=str(CLASSIFIER_CACHE.expanduser()),
    )
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


@dataclass
class _Pending:
    """A finished round whose scores are still being computed."""

    result: RoundResult
    evaluation: Reference | None


class _Training:
    """The rounds of one run."""

    def __init__(self, plan: Plan, folder: RunFolder, group: Group, listener: Listener) -> None:
        self._plan, self._folder, self._group, self._listener = plan, folder, group, listener
        self._pending: list[_Pending] = []
        self._last: dict[str, Any] = {}
        self._bytes = 0

    def run(self, dashboard: str | None) -> None:
        """All rounds, then the scores that are still under way, then the summary."""
        started = time.perf_counter()
        config = self._plan.config
        inventory = self._inventory()
        num_samples = {client: entry.num_images for client, entry in inventory.items()}
        num_steps = config.training.local_epochs * max(
            entry.batches_per_epoch for entry in inventory.values()
        )
        self._group.evaluator.call("prepare")
        self._listener.on_start(self._plan, num_steps, 0, dashboard)
        for number in range(config.training.rounds):
            result = train_round(
                self._group,
                self._plan.layout,
                number,
                num_steps,
                num_samples,
                config.ray.steps_ahead,
                self._on_step,
            )
            self._folder.write_clusters(cluster_record(number, result.assignment))
            self._pending.append(_Pending(result, self._evaluate(result)))
            self._save(result)
            self._write_finished(wait=False)
        self._write_finished(wait=True)
        write_json(self._folder.summary_file, self._summary(time.perf_counter() - started))

    def _inventory(self) -> dict[int, Inventory]:
        references = [
            reference
            for host in self._plan.layout.hosts
            for reference in self._group.hosts[host.host].call_many("inventory", len(host.clients))
        ]
        return {entry.client: entry for entry in self._group.fetch(references)}

    def _on_step(self, step: int, reports: list[StepReport]) -> None:
        for fault in (fault for report in reports for fault in report.faults):
            self._listener.on_fault(fault)
        number = reports[0].step.round
        self._listener.on_step(
            number, step, mean_losses(reports), sum(report.num_images for report in reports)
        )

    def _evaluate(self, result: RoundResult) -> Reference | None:
        config = self._plan.config
        last = result.round + 1 == config.training.rounds
        if not last and (result.round + 1) % config.evaluation.every:
            return None
        domains = self._plan.domains
        members: dict[int, set[int]] = {}
        for client, cluster in result.assignment.cluster.items():
            members.setdefault(cluster, set()).add(domains[client])
        tasks = [ClusterTask(cluster, tuple(sorted(members[cluster]))) for cluster in result.averages]
        generators = [
            [reference for key, reference in blocks.items() if key[0] == "generator"]
            for blocks in result.averages.values()
        ]
        return self._group.evaluator.call("evaluate", result.round, tasks, generators)

    def _save(self, result: RoundResult) -> None:
        """A checkpoint: each actor writes its own file, the driver only the manifest."""
        checkpoint = Checkpoint(self._folder, result.round)
        draft = checkpoint.begin()
        layout = self._plan.layout
        written = [self._group.body.call("save", draft)]
        for host in layout.hosts:
            written += self._group.hosts[host.host].call_many("save", len(host.clients), draft)
        aggregators = self._group.aggregators(len(result.averages))
        for (cluster, blocks), aggregator in zip(result.averages.items(), aggregators, strict=True):
            path = f"{draft}/cluster-{cluster}.safetensors"
            written.append(aggregator.call("save", path, list(blocks.values())))
        clusters = {str(client): cluster for client, cluster in result.assignment.cluster.items()}
        checkpoint.finish(self._group.fetch(written), {"clusters": clusters})

    def _write_finished(self, wait: bool) -> None:
        """Writes the metrics of rounds whose scores are there, in the order of the rounds."""
        while self._pending:
            pending = self._pending[0]
            if pending.evaluation is not None and not wait and not self._group.ready(pending.evaluation):
                return
            evaluation = None
            if pending.evaluation is not None:
                (evaluation,) = self._group.fetch([pending.evaluation])
            names = [domain_label(domain) for domain in self._plan.config.data.domains]
            metrics = round_metrics(pending.result, evaluation, self._plan.domains, names)
            self._folder.write_round(metrics)
            self._listener.on_round(metrics)
            self._bytes += metrics["bytes_up"] + metrics["bytes_down"]
            self._last = metrics
            self._pending.pop(0)

    def _summary(self, seconds: float) -> Mapping[str, Any]:
        return {
            "rounds": self._last["round"],
            "scores": self._last["scores"],
            "cluster_agreement": self._last["cluster_agreement"],
            "clusters": self._last["clusters"],
            "seconds": round(seconds, 1),
            "bytes_moved": self._bytes,
            "devices": {plan.client: plan.profile for plan in self._plan.layout.clients},
            "versions": versions(),
            "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    from importlib.metadata import version

    return {
        "python": platform.python_version(),
        **{name: version(name) for name in ("raygan", "torch", "ray", "numpy")},
    }
