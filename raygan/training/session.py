"""The rounds of one run: trains, scores, saves, and recovers what is lost.

A lost or late client sits the rest of its round out and takes over its cluster's average; a lost one is started
again first. When the body or an aggregator is lost, the run goes back to its last checkpoint. A lost evaluator is
started again and scores again. An actor that hangs is ended by the group, and is lost.
"""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from raygan.actors.aggregator import cluster_file
from raygan.actors.evaluator import cluster_tasks
from raygan.actors.group import Group, Reference
from raygan.data import domain_names
from raygan.errors import RunError, StoppedError
from raygan.messages import Evaluation, Lost, StepReport, Tally
from raygan.storage import read_json_lines, write_json
from raygan.training.checkpoints import Checkpoint, Checkpoints
from raygan.training.deadline import Deadline
from raygan.training.folder import RunFolder
from raygan.training.listener import Listener
from raygan.training.metrics import cluster_record, mean_losses, round_metrics
from raygan.training.mirror import Mirror
from raygan.training.participation import last_clusters, sample_clients
from raygan.training.plan import Plan
from raygan.training.round import RoundLost, RoundPlan, RoundResult, load_averages, train_round

MAX_REPEATS = 10
"""A round, or its scores, that are lost this often are given up."""
MAX_PENDING = 2
"""Rounds that may wait for their scores: their averages stay in the object store until then."""


@dataclass
class _Pending:
    """A finished round whose scores are still being computed."""

    result: RoundResult
    evaluation: Reference | None
    tallies: Sequence[Tally] = ()
    """What crossed in it."""
    repeats: int = 0


class Session:
    """One run, from its first missing round to its last."""

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder,
        group: Group,
        listener: Listener,
        mirror: Mirror | None = None,
    ) -> None:
        self._plan, self._folder, self._group, self._listener = plan, folder, group, listener
        self._layout, self._config = plan.layout, plan.config
        self._mirror = mirror
        self._checkpoints = Checkpoints(folder.checkpoints, plan.config.checkpoints)
        self._pending: list[_Pending] = []
        self._repeats: Counter[int] = Counter()
        self._losses: Counter[int] = Counter()
        """Host -> rounds in a row in which it was lost."""
        self._epoch_steps: dict[int, int] = {}
        """Client -> minibatches in one pass over its images."""
        self._readmitted: dict[int, Reference] = {}
        """Host -> whether it has taken over an average, since the last checkpoint."""
        self._deadline = Deadline(plan.config.ray.step_deadline_s)

    def run(self, dashboard: str | None = None) -> None:
        """All rounds that are missing, then the scores that are still under way, then the summary."""
        started = time.perf_counter()
        self._checkpoints.sweep()
        first = self._folder.rewind(self._checkpoints, self._listener.on_fault)
        self._take_inventory()
        self._restore(first)
        self._group.evaluator.call("prepare")
        self._listener.on_start(self._plan, self._num_steps(self._epoch_steps), first, dashboard)
        number = first
        while number < self._config.training.rounds:
            try:
                result = self._round(number)
            except RoundLost as lost:
                number = self._go_back(number, lost)
                continue
            self._folder.write_clusters(cluster_record(number, result.assignment))
            self._pending.append(_Pending(result, self._evaluate(result), self._tallies(result)))
            self._write_finished(wait=False)
            self._push()
            number += 1
        self._write_finished(wait=True)
        write_json(self._folder.summary_file, self._summary(time.perf_counter() - started))
        self._push()

    def _push(self) -> None:
        """Brings the run's copy up to date; one that cannot be reached now is told, and tried again next time."""
        try:
            if self._mirror is not None:
                self._mirror.push(self._folder.path)
        except RunError as error:
            self._listener.on_fault(f"the copy is behind: {error}")

    def _round(self, number: int) -> RoundResult:
        """One round and, where it gets one, its checkpoint.

        Raises:
            RoundLost: the body or an aggregator was lost in it.
            StoppedError: too few clients are left.
        """
        plan = self._round_plan(number)
        result = train_round(self._group, self._layout, plan, self._on_step, self._deadline)
        self._tell(result)
        self._listener.on_usage(self._group.usage())
        self._count_losses(result.epochs.lost)
        self._replace_hosts(result.epochs.lost, result)
        self._readmit(result)
        if self._checkpoints.due(number, self._config.training.rounds):
            self._save(result)
        self._check_readmitted()
        return result

    def _go_back(self, number: int, lost: RoundLost) -> int:
        """The round to go on with after a loss: the one after the last checkpoint, with everybody at its state.

        Raises:
            StoppedError: the round was lost too often.
        """
        self._repeats[number] += 1
        if self._repeats[number] >= MAX_REPEATS:
            found = f"round {number + 1} was lost {MAX_REPEATS} times ({lost})"
            raise StoppedError(f"{found}: stopped; look for the cause in Ray's logs")
        kept = self._checkpoints.last_whole(number)
        if kept < number:
            self._write_finished(wait=True)
            kept = self._folder.rewind(self._checkpoints, self._listener.on_fault, at_most=kept)
        self._listener.on_fault(f"round {kept + 1} begins again: {lost}")
        self._restart_all(kept)
        return kept

    def _round_plan(self, number: int) -> RoundPlan:
        available = [client for host in self._group.hosts for client in self._layout.hosts[host].ids]
        taking_part = sample_clients(available, self._config, number)
        return RoundPlan(
            number,
            self._num_steps(taking_part),
            taking_part,
            self._config.training.min_clients,
            self._config.ray.steps_ahead,
        )

    def _num_steps(self, clients: Iterable[int]) -> int:
        """The most steps that the local epochs of any of these clients give."""
        return self._config.training.local_epochs * max(self._epoch_steps.get(c, 0) for c in clients)

    def _tell(self, result: RoundResult) -> None:
        """Faults of the round that no step has told."""
        for host, steps in sorted(result.epochs.absent.items()):
            if host in self._group.hosts and host not in result.epochs.lost:
                self._listener.on_fault(f"{self._layout.hosts[host].name} was late and sat out {steps} steps")
        for fault in result.epochs.faults:
            self._listener.on_fault(fault)

    def _tallies(self, result: RoundResult) -> list[Tally]:
        """What every actor counted in the round; nothing of those that are lost."""
        aggregators = self._group.aggregators(len(result.averages) + 1)
        handles = (*self._group.hosts.values(), self._group.body, *aggregators)
        answers = self._group.fetch([handle.call("tally") for handle in handles])
        return [answer for answer in answers if not isinstance(answer, Lost)]

    def _restart_all(self, number: int) -> None:
        """New actors in the place of the lost ones, all at the state of the last checkpoint."""
        self._readmitted = {}
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

    def _count_losses(self, lost: Collection[int]) -> None:
        """A host that ends a round begins its count anew."""
        self._losses = Counter({host: self._losses[host] + 1 for host in lost})

    def _replace_hosts(self, lost: Mapping[int, str], result: RoundResult) -> None:
        """Starts lost hosts again with their clusters' averages; sets one aside that keeps dying."""
        for host, reason in lost.items():
            name = self._layout.hosts[host].name
            if self._losses[host] > self._config.ray.max_restarts:
                self._set_aside(host, f"lost in {self._losses[host]} rounds in a row ({reason})")
                continue
            self._listener.on_fault(f"{name} was lost ({reason}); it takes part again from the next round")
            self._group.restart_host(host)
            self._begin_anew(result, host)

    def _set_aside(self, host: int, reason: str) -> None:
        name, needed = self._layout.hosts[host].name, self._config.training.min_clients
        left = [
            client for other in self._group.hosts if other != host for client in self._layout.hosts[other].ids
        ]
        if len(left) < needed:
            raise StoppedError(
                f"{name} was {reason}, and without it {len(left)} of at least {needed} clients "
                f"(training.min_clients) are left: stopped"
            )
        self._listener.on_fault(f"{name} is set aside: {reason}")
        self._group.set_aside(host)

    def _readmit(self, result: RoundResult) -> None:
        """Clients that are not in the round's average, late ones and those that were not drawn, take it over."""
        if len(result.assignment.cluster) == len(self._layout.clients):
            return
        given = self._last_clusters(result)
        left_out = {c: k for c, k in given.items() if c not in result.assignment.cluster}
        for host in self._group.hosts:
            if left_out.keys() & set(self._layout.hosts[host].ids) and host not in self._readmitted:
                self._take_over(host, left_out, result)

    def _begin_anew(self, result: RoundResult, host: int) -> None:
        """All clients of a host that was started again take over their clusters' averages."""
        self._take_over(host, self._last_clusters(result), result)

    def _take_over(self, host: int, cluster: Mapping[int, int], result: RoundResult) -> None:
        answer = load_averages(self._group, self._layout, host, cluster, result.averages, "readmit")
        self._readmitted[host] = answer

    def _last_clusters(self, result: RoundResult) -> dict[int, int]:
        """Client -> the cluster of this round whose average it has, or is to have."""
        rounds = [cluster_record(result.round, result.assignment)]
        return last_clusters(
            [*read_json_lines(self._folder.clusters_file), *rounds], range(len(self._layout.clients))
        )

    def _take_inventory(self) -> None:
        """Asks every client how much it holds; one that dies over it is started again."""
        for _ in range(self._config.ray.max_restarts + 1):
            missing = [
                host
                for host in self._group.hosts
                if not self._epoch_steps.keys() >= set(self._layout.hosts[host].ids)
            ]
            if not missing:
                return
            references = {
                host: self._group.hosts[host].call_many("inventory", len(self._layout.hosts[host].ids))
                for host in missing
            }
            self._group.fetch([reference for asked in references.values() for reference in asked])
            for host, asked in references.items():
                entries = self._group.fetch(asked)
                if any(isinstance(entry, Lost) for entry in entries):
                    self._group.restart_host(host)
                else:
                    self._epoch_steps |= {entry.client: entry.batches_per_epoch for entry in entries}
        raise StoppedError("client actors die as soon as they are started: look for the cause in Ray's logs")

    def _on_step(self, number: int, step: int, reports: list[StepReport]) -> None:
        for fault in (fault for report in reports for fault in report.faults):
            self._listener.on_fault(fault)
        self._listener.on_step(
            number, step, mean_losses(reports), sum(report.num_images for report in reports)
        )
        self._listener.on_reports({self._name_of(report): report for report in reports})

    def _name_of(self, report: StepReport) -> str:
        """The client actor that a report is from."""
        return self._layout.hosts[report.host].name

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
            StoppedError: actors die again and again while they write.
        """
        checkpoint = self._checkpoints.of(result.round)
        try:
            for _ in range(MAX_REPEATS):
                if self._try_to_save(result, checkpoint):
                    return
        except RunError:
            checkpoint.give_up()
            raise
        raise StoppedError("no checkpoint could be written: stopped; look for the cause in Ray's logs")

    def _check_readmitted(self) -> None:
        """A host that is alive and could not take over its averages tells of a lost aggregator."""
        hosts = list(self._readmitted)
        answers = self._group.fetch([self._readmitted.pop(host) for host in hosts])
        for host, answer in zip(hosts, answers, strict=True):
            if isinstance(answer, Lost) and self._group.alive(self._group.hosts[host]):
                raise RoundLost(answer.reason)

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
        self._check_readmitted()
        if any(isinstance(record, Lost) for record in written):
            lost = {host: "lost while saving" for host in hosts if not self._wrote(of_hosts[host])}
            self._losses.update(list(lost))
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
            names, hosts = domain_names(self._config.data), self._layout.hosts
            metrics = round_metrics(
                pending.result, evaluation, self._plan.domains, names, hosts, pending.tallies
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
            if pending.repeats > MAX_REPEATS:
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
