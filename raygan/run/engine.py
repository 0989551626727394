"""The rounds of one run: trains, scores, saves, and recovers what is lost.

A lost or late client sits the rest of its round out and takes over its cluster's average; a lost one is started
again first. When the body is lost, or an aggregator whose averages were not saved yet, the run goes back to its last
checkpoint. A lost evaluator is started again and scores again. An actor that hangs is ended by the group, and is lost.
"""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from raygan.algorithms.huscf import RoundLost, RoundPlan, RoundResult, train_round
from raygan.errors import RunError, StoppedError
from raygan.parties.aggregator import cluster_file
from raygan.run.checkpoints import Checkpoint, Checkpoints
from raygan.run.events import FaultBook, Listener
from raygan.run.folder import RunFolder
from raygan.run.metrics import cluster_record, mean_losses
from raygan.run.mirror import Mirror
from raygan.run.participation import sample_clients
from raygan.run.pending import PendingScores
from raygan.run.plan import Plan
from raygan.run.roster import Roster
from raygan.runtime.backend import Group, Reference
from raygan.runtime.deadline import Deadline
from raygan.split.worker import client_file
from raygan.storage import read_json_lines, write_json
from raygan.wire.records import Lost, StepReport

MAX_REPEATS = 10
"""A round that is lost this often is given up."""


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
        self._plan, self._folder, self._group = plan, folder, group
        self._listener = FaultBook(listener)
        self._layout, self._config = plan.layout, plan.config
        self._mirror = mirror
        self._checkpoints = Checkpoints(folder.checkpoints, plan.config.checkpoints)
        self._scores = PendingScores(plan, folder, self._checkpoints, group, listener)
        self._roster = Roster(plan, folder, group, self._listener)
        self._repeats: Counter[int] = Counter()
        self._epoch_steps: dict[int, int] = {}
        """Client -> minibatches in one pass over its images."""
        self._deadline = Deadline(plan.config.ray.step_deadline_s)
        self._stops = False
        """Whether the run is to end after this round."""

    def run(self, dashboard: str | None = None) -> None:
        """All rounds that are missing, then the scores that are still under way, then the summary.

        Where the listener says so, it ends after a round, with its checkpoint and without a summary.
        """
        started = time.perf_counter()
        self._checkpoints.sweep()
        first = self._folder.rewind(self._checkpoints, self._listener.on_fault)
        self._take_inventory()
        self._restore(first)
        self._scores.prepare()
        self._listener.on_start(self._plan, self._num_steps(self._epoch_steps), first, dashboard)
        number = first
        while number < self._config.training.rounds:
            try:
                result = self._round(number)
            except RoundLost as lost:
                number = self._go_back(number, lost)
                continue
            self._folder.write_clusters(cluster_record(number, result.assignment))
            self._scores.add(result, self._listener.take())
            number += 1
            self._scores.write(wait=self._stops)
            self._push()
            if self._stops and number < self._config.training.rounds:
                return
        self._scores.write(wait=True)
        write_json(self._folder.summary_file, self._summary(first, time.perf_counter() - started))
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
        self._roster.after_round(result)
        self._stops = self._listener.should_stop()
        if self._stops or self._checkpoints.due(number, self._config.training.rounds):
            self._save(result)
        self._roster.check_rejoined()
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
            self._scores.write(wait=True)
            kept = self._folder.rewind(self._checkpoints, self._listener.on_fault, at_most=kept)
        self._listener.on_fault(f"round {kept + 1} begins again: {lost}")
        if not self._restart_all(kept) and self._repeats[number] > 1:
            raise StoppedError(f"round {number + 1} fails whenever it is run ({lost}): stopped")
        return kept

    def _round_plan(self, number: int) -> RoundPlan:
        available = [client for worker in self._group.workers for client in self._layout.workers[worker].ids]
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
        for worker, steps in sorted(result.epochs.absent.items()):
            if worker in self._group.workers and worker not in result.epochs.lost:
                self._listener.on_fault(
                    f"{self._layout.workers[worker].name} was late and sat out {steps} steps"
                )
        for fault in (*result.epochs.faults, *result.assignment.faults):
            self._listener.on_fault(fault)

    def _restart_all(self, number: int) -> bool:
        """New actors in the place of the lost ones, all at the state of the last checkpoint; before the first, all are
        new. Returns whether any was lost."""
        lost = [worker for worker, handle in self._group.workers.items() if not self._group.alive(handle)]
        body_is_lost = not self._group.alive(self._group.body)
        if number == 0 or body_is_lost:
            self._group.restart_body()
        num_aggregators = self._group.restart_aggregators()
        self._roster.start_again(list(self._group.workers) if number == 0 else lost)
        self._restore(number)
        return bool(lost or body_is_lost or num_aggregators)

    def _restore(self, number: int) -> None:
        """Loads the checkpoint after `number` rounds into body and workers; nothing to do before the first."""
        if number == 0:
            return
        checkpoint = self._checkpoints.of(number - 1)
        folder, manifest = str(checkpoint.path), checkpoint.manifest()
        for worker in [h for h in self._group.workers if manifest.set_aside_all(self._layout.workers[h].ids)]:
            self._roster.give_up(worker)
        clusters = self._roster.last_clusters()
        averages = {c: cluster_file(clusters[c]) for c in clusters if client_file(c) not in manifest.files}
        calls = [self._group.body.call("restore", folder)]
        calls += [handle.call("restore", folder, averages) for handle in self._group.workers.values()]
        self._group.fetch(calls)

    def _take_inventory(self) -> None:
        """Asks every client how much it holds; a worker that dies over it is started again."""
        missing = self._ask_inventory(list(self._group.workers))
        for _ in range(self._config.ray.max_restarts + 1):
            if not missing:
                return
            self._roster.start_again(missing)
            missing = self._ask_inventory([worker for worker in missing if worker in self._group.workers])
        if missing:
            raise StoppedError(
                "client actors die as soon as they are started: look for the cause in Ray's logs"
            )

    def _ask_inventory(self, workers: Sequence[int]) -> list[int]:
        """Takes in what these workers hold; returns those that are lost."""
        asked = {
            worker: self._group.workers[worker].call_many("inventory", len(self._layout.workers[worker].ids))
            for worker in workers
        }
        lost = []
        for worker, references in asked.items():
            entries = self._group.fetch(references)
            if any(isinstance(entry, Lost) for entry in entries):
                lost.append(worker)
            else:
                self._epoch_steps |= {entry.client: entry.batches_per_epoch for entry in entries}
        return lost

    def _on_step(self, number: int, step: int, reports: list[StepReport]) -> None:
        for fault in (fault for report in reports for fault in report.faults):
            self._listener.on_fault(fault)
        self._listener.on_step(
            number, step, mean_losses(reports), sum(report.num_images for report in reports)
        )
        self._listener.on_reports({self._name_of(report): report for report in reports})

    def _name_of(self, report: StepReport) -> str:
        """The client actor that a report is from."""
        return self._layout.workers[report.worker].name

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

    def _try_to_save(self, result: RoundResult, checkpoint: Checkpoint) -> bool:
        """Whether all were there to write their files; lost workers are replaced, so that another try may do it."""
        draft = checkpoint.begin()
        workers = dict(self._group.workers)
        of_workers = {
            worker: handle.call_many("save", len(self._layout.workers[worker].clients), draft)
            for worker, handle in workers.items()
        }
        others = [self._group.body.call("save", draft), *self._save_clusters(result, draft)]
        written = self._group.fetch([*others, *(r for references in of_workers.values() for r in references)])
        self._roster.check_rejoined()
        if any(isinstance(record, Lost) for record in written):
            self._roster.lost_while_saving([h for h in workers if not self._wrote(of_workers[h])], result)
            self._mend_servers(result)
            return False
        gone = [client for worker in self._roster.given_up for client in self._layout.workers[worker].ids]
        checkpoint.finish(written, result.assignment.cluster, sorted(gone))
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

    def _summary(self, first: int, seconds: float) -> Mapping[str, Any]:
        """`summary.json`.

        Args:
            first: the round with which this process began.
            seconds: since then.
        """
        rounds = read_json_lines(self._folder.metrics_file)
        seconds += sum(line["seconds"] for line in rounds[:first])
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
