"""The rounds of one run: trains, scores, saves, and recovers what is lost.

A lost client sits the rest of its round out, is started again and takes over its cluster's last average. When
the body or an aggregator is lost, the run goes back to its last checkpoint. A lost evaluator is started again and
scores again.
"""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from raygan.actors.aggregator import cluster_file
from raygan.actors.evaluator import cluster_tasks
from raygan.actors.group import Group, Reference
from raygan.data import domain_names
from raygan.errors import RunError
from raygan.messages import Evaluation, Inventory, Lost, StepReport
from raygan.storage import read_json_lines, write_json
from raygan.training.checkpoints import Checkpoint, Checkpoints
from raygan.training.folder import RunFolder
from raygan.training.listener import Listener
from raygan.training.metrics import cluster_record, mean_losses, round_metrics
from raygan.training.plan import Plan
from raygan.training.round import RoundLost, RoundResult, load_averages, train_round

MAX_STARTS = 3
"""A host that is lost this often is set aside."""
MAX_REPEATS = 5
"""A round that is lost this often ends the run."""
MAX_PENDING = 2
"""Rounds that may wait for their scores: their averages stay in the object store until then."""


@dataclass
class _Pending:
    """A finished round whose scores are still being computed."""

    result: RoundResult
    evaluation: Reference | None
    repeats: int = 0


class Session:
    """One run, from its first missing round to its last."""

    def __init__(self, plan: Plan, folder: RunFolder, group: Group, listener: Listener) -> None:
        self._plan, self._folder, self._group, self._listener = plan, folder, group, listener
        self._layout, self._config = plan.layout, plan.config
        self._checkpoints = Checkpoints(folder.checkpoints, plan.config.checkpoints)
        self._pending: list[_Pending] = []
        self._repeats: Counter[int] = Counter()
        self._losses: Counter[int] = Counter()
        self._num_steps = 0

    def run(self, dashboard: str | None = None) -> None:
        """All rounds that are missing, then the scores that are still under way, then the summary."""
        started = time.perf_counter()
        self._checkpoints.sweep()
        first = self._folder.rewind(self._checkpoints, self._listener.on_fault)
        self._restore(first)
        self._take_inventory()
        self._group.evaluator.call("prepare")
        self._listener.on_start(self._plan, self._num_steps, first, dashboard)
        number = first
        while number < self._config.training.rounds:
            try:
                result = self._round(number)
            except RoundLost as lost:
                number = self._go_back(number, lost)
                continue
            self._folder.write_clusters(cluster_record(number, result.assignment))
            self._pending.append(_Pending(result, self._evaluate(result)))
            self._write_finished(wait=False)
            number += 1
        self._write_finished(wait=True)
        write_json(self._folder.summary_file, self._summary(time.perf_counter() - started))

    def _round(self, number: int) -> RoundResult:
        """One round and, where it gets one, its checkpoint.

        Raises:
            RoundLost: the body or an aggregator was lost in it.
        """
        steps_ahead = self._config.ray.steps_ahead
        result = train_round(self._group, self._layout, number, self._num_steps, steps_ahead, self._on_step)
        self._tell(result)
        self._replace_hosts(result.epochs.lost, result)
        self._readmit(result, self._group.hosts)
        if self._checkpoints.due(number, self._config.training.rounds):
            self._save(result)
        return result

    def _go_back(self, number: int, lost: RoundLost) -> int:
        """The round to go on with after a loss: the one after the last checkpoint, with everybody at its state.

        Raises:
            RunError: the round was lost too often.
        """
        self._repeats[number] += 1
        if self._repeats[number] >= MAX_REPEATS:
            found = f"round {number + 1} was lost {MAX_REPEATS} times"
            remedy = "look for the cause in Ray's logs, then continue with --resume"
            raise RunError(str(self._folder.path), found, remedy)
        kept = self._checkpoints.last_whole(number)
        if kept < number:
            self._write_finished(wait=True)
            kept = self._folder.rewind(self._checkpoints, self._listener.on_fault, at_most=kept)
        self._listener.on_fault(f"round {kept + 1} begins again: {lost}")
        self._restart_all(kept)
        return kept

    def _tell(self, result: RoundResult) -> None:
        """Faults of the round that no step has told."""
        for host, steps in sorted(result.epochs.absent.items()):
            if host in self._group.hosts and host not in result.epochs.lost:
                self._listener.on_fault(f"{self._layout.hosts[host].name} was late and sat out {steps} steps")
        for fault in result.epochs.faults:
            self._listener.on_fault(fault)

    def _restart_all(self, number: int) -> None:
        """New actors in the place of the lost ones, all at the state of the last checkpoint."""
        if number == 0 or not self._group.alive(self._group.body):
            self._group.restart_body()
        self._group.restart_aggregators()
        for host, handle in list(self._group.hosts.items()):
            if number == 0 or not self._group.alive(handle):
                self._group.restart_host(host)
        self._restore(number)

    def _restore(self, number: int) -> None:
        """Loads the checkpoint after `number` rounds into body and hosts; nothing to do before the first."""
        if number == 0:
            return
        checkpoint = self._checkpoints.of(number - 1)
        gone = checkpoint.manifest().set_aside
        for host in [h for h in self._group.hosts if set(gone).issuperset(self._layout.hosts[h].ids)]:
            self._group.set_aside(host)
        handles = (self._group.body, *self._group.hosts.values())
        self._group.fetch([handle.call("restore", str(checkpoint.path)) for handle in handles])

    def _replace_hosts(self, lost: Mapping[int, str], result: RoundResult) -> None:
        """Starts lost hosts again with their clusters' averages; sets one aside that keeps dying."""
        for host, reason in lost.items():
            name = self._layout.hosts[host].name
            self._losses[host] += 1
            if self._losses[host] > MAX_STARTS:
                self._listener.on_fault(f"{name} is set aside: lost {self._losses[host]} times ({reason})")
                self._group.set_aside(host)
                continue
            self._listener.on_fault(f"{name} was lost ({reason}); it takes part again from the next round")
            self._group.restart_host(host)
            self._readmit(result, [host], everybody=True)

    def _readmit(self, result: RoundResult, hosts: Iterable[int], everybody: bool = False) -> None:
        """Clients that were left out of the round's average (or all, after a restart) take over a cluster's."""
        if not everybody and len(result.assignment.cluster) == len(self._layout.clients):
            return
        left_out = {
            client: cluster
            for client, cluster in self._last_clusters(result).items()
            if everybody or client not in result.assignment.cluster
        }
        for host in hosts:
            if left_out.keys() & set(self._layout.hosts[host].ids):
                load_averages(self._group, self._layout, host, left_out, result.averages, "readmit")

    def _last_clusters(self, result: RoundResult) -> dict[int, int]:
        """Client -> a cluster of this round: its own, that of a client of its last cluster, or the first."""
        now = result.assignment.cluster
        before = {}
        for line in read_json_lines(self._folder.clusters_file)[-1:]:
            before = {int(client): entry["cluster"] for client, entry in line["clients"].items()}
        heirs = {before[client]: cluster for client, cluster in now.items() if client in before}
        anyone = next(iter(now.values()))
        return {
            plan.client: now.get(plan.client, heirs.get(before.get(plan.client, -1), anyone))
            for plan in self._layout.clients
        }

    def _take_inventory(self) -> None:
        """Asks every client how much it holds."""
        references = [
            reference
            for host, handle in self._group.hosts.items()
            for reference in handle.call_many("inventory", len(self._layout.hosts[host].clients))
        ]
        entries: list[Inventory] = [
            entry for entry in self._group.fetch(references) if not isinstance(entry, Lost)
        ]
        self._num_steps = self._config.training.local_epochs * max(
            entry.batches_per_epoch for entry in entries
        )

    def _on_step(self, number: int, step: int, reports: list[StepReport]) -> None:
        for fault in (fault for report in reports for fault in report.faults):
            self._listener.on_fault(fault)
        self._listener.on_step(
            number, step, mean_losses(reports), sum(report.num_images for report in reports)
        )

    def _evaluate(self, result: RoundResult) -> Reference | None:
        last = result.round + 1 == self._config.training.rounds
        if not last and (result.round + 1) % self._config.evaluation.every:
            return None
        saved = self._checkpoints.due(result.round, self._config.training.rounds)
        folder = self._checkpoints.of(result.round).path if saved else None
        tasks = cluster_tasks(result.assignment.cluster, self._plan.domains, folder)
        generators = [
            [reference for key, reference in blocks.items() if key[0] == "generator"]
            for blocks in result.averages.values()
        ]
        return self._group.evaluator.call("evaluate", result.round, tasks, generators)

    def _save(self, result: RoundResult) -> None:
        """A checkpoint: each actor writes its own file, the driver only the manifest.

        Raises:
            RunError: it cannot be written (a full disk); those before it are whole.
        """
        checkpoint = self._checkpoints.of(result.round)
        try:
            for _ in range(MAX_REPEATS):
                if self._try_to_save(result, checkpoint):
                    return
        except RunError:
            checkpoint.give_up()
            raise
        raise RunError(
            str(self._folder.path), "no checkpoint could be written", "look for the cause in Ray's logs"
        )

    def _try_to_save(self, result: RoundResult, checkpoint: Checkpoint) -> bool:
        """Whether all were there to write their files; lost hosts are replaced, so that another try may do it."""
        draft = checkpoint.begin()
        hosts = dict(self._group.hosts)
        of_hosts = {
            host: handle.call_many("save", len(self._layout.hosts[host].clients), draft)
            for host, handle in hosts.items()
        }
        others = [self._group.body.call("save", draft), *self._save_clusters(result, draft)]
        written = self._group.fetch([*others, *(r for references in of_hosts.values() for r in references)])
        if any(isinstance(record, Lost) for record in written):
            lost = {host: "lost while saving" for host in hosts if not self._wrote(of_hosts[host])}
            self._replace_hosts(lost, result)
            self._mend_servers(result)
            return False
        gone = [p.client for p in self._layout.clients if self._layout.host_of[p.client] not in hosts]
        checkpoint.finish(written, result.assignment.cluster, gone)
        return True

    def _wrote(self, references: Iterable[Reference]) -> bool:
        return not any(isinstance(record, Lost) for record in self._group.fetch(list(references)))

    def _save_clusters(self, result: RoundResult, draft: str) -> list[Reference]:
        aggregators = self._group.aggregators(len(result.averages))
        return [
            aggregator.call("save", f"{draft}/{cluster_file(cluster)}", list(blocks.values()))
            for (cluster, blocks), aggregator in zip(result.averages.items(), aggregators, strict=True)
        ]

    def _mend_servers(self, result: RoundResult) -> None:
        """A body or an aggregator that is lost between a round and its checkpoint costs the round."""
        aggregators = self._group.aggregators(len(result.averages) + 1)
        if not all(self._group.alive(handle) for handle in (self._group.body, *aggregators)):
            raise RoundLost("the body or an aggregator was lost while the round was saved")

    def _write_finished(self, wait: bool) -> None:
        """Writes the metrics of rounds whose scores are there, in the order of the rounds."""
        while self._pending:
            pending = self._pending[0]
            may_wait = not wait and len(self._pending) <= MAX_PENDING
            if pending.evaluation is not None and may_wait and not self._group.ready(pending.evaluation):
                return
            evaluation = self._scores(pending)
            hosts = {plan.host: plan.name for plan in self._layout.hosts}
            metrics = round_metrics(
                pending.result, evaluation, self._plan.domains, domain_names(self._config.data), hosts
            )
            self._folder.write_round(metrics)
            self._checkpoints.prune(read_json_lines(self._folder.metrics_file))
            self._listener.on_round(metrics)
            self._pending.pop(0)

    def _scores(self, pending: _Pending) -> Evaluation | None:
        """A round's scores; None where it has none. A lost evaluator is started again and scores again."""
        while pending.evaluation is not None:
            (evaluation,) = self._group.fetch([pending.evaluation])
            if not isinstance(evaluation, Lost):
                for fault in evaluation.faults:
                    self._listener.on_fault(fault)
                return evaluation
            self._listener.on_fault(f"the evaluator was lost ({evaluation.reason})")
            pending.repeats += 1
            if pending.repeats > MAX_STARTS:
                return None
            self._group.restart_evaluator()
            for other in self._pending:
                other.evaluation = self._evaluate(other.result)
        return None

    def _summary(self, seconds: float) -> Mapping[str, Any]:
        rounds = read_json_lines(self._folder.metrics_file)
        last = rounds[-1]
        return {
            "rounds": last["round"],
            "scores": last["scores"],
            "cluster_agreement": last["cluster_agreement"],
            "clusters": last["clusters"],
            "seconds": round(seconds, 1),
            "bytes_moved": sum(line["bytes_up"] + line["bytes_down"] for line in rounds),
            "devices": {plan.client: plan.profile for plan in self._layout.clients},
            "versions": versions(),
            "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        }


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on; a package that is not installed is left out."""
    found = {"python": platform.python_version()}
    for name in ("raygan", "torch", "ray", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
