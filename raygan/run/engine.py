"""The engine: runs the rounds of any algorithm, scores, saves, and recovers what is lost.

It knows workers, servers, aggregators and an evaluator, and models with their clients; what they compute is the
algorithm's. What happens when somebody is lost, late or unfit stands in `raygan.runtime.recovery`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import islice

from raygan.algorithms.base import RoundResult, ServerState
from raygan.config.schema import Config
from raygan.errors import RunError, StoppedError
from raygan.parties.aggregator import ClusterAggregator, model_file
from raygan.parties.base import Server, Worker
from raygan.randomness import stream
from raygan.run.budgets import Budgets
from raygan.run.checkpoints import Checkpoint, Checkpoints
from raygan.run.divergence import NOT_FINITE, not_finite
from raygan.run.events import FaultBook, Listener
from raygan.run.folder import RunFolder
from raygan.run.joining import state_after
from raygan.run.metrics import mean_losses, summary
from raygan.run.mirror import Mirror
from raygan.run.pending import PendingScores
from raygan.run.plan import Plan
from raygan.run.roster import Roster
from raygan.runtime.backend import Backend, Reference
from raygan.runtime.federation import AnyFederation, Federation
from raygan.runtime.limits import limits_of
from raygan.runtime.recovery import Missing, Role, decide
from raygan.runtime.steps import Cohort, Deadline, RoundLost, StepLoop, needed
from raygan.secure import least_members
from raygan.storage import append_json_line, remove_folder, write_json
from raygan.wire.records import Lost, StepReport, Written

MAX_SAVERS = 16
"""Aggregators that write models at a time."""


class Engine:
    """One run, from its first missing round to its last."""

    def __init__(
        self,
        plan: Plan,
        folder: RunFolder,
        backend: Backend,
        listener: Listener,
        mirror: Mirror | None = None,
    ) -> None:
        self._plan, self._folder, self._backend = plan, folder, backend
        self._listener = FaultBook(listener)
        self._layout, self._config, self._algorithm = plan.layout, plan.config, plan.algorithm
        self._mirror = mirror
        steps = StepLoop(backend, self._on_step, Deadline(plan.config.ray.step_deadline_s), plan.config.ray.steps_ahead)
        self._federation: AnyFederation = Federation(backend, plan.layout, steps)
        self._state: ServerState = plan.algorithm.init()
        self._checkpoints = Checkpoints(folder.checkpoints, plan.config.checkpoints)
        self._scores = PendingScores(plan, folder, self._checkpoints, backend, listener)
        self._roster = Roster(plan, self._checkpoints, backend, self._federation, self._listener)
        self._budgets = Budgets(plan.config, plan.layout, folder.privacy_file, backend, self._listener)
        self._limits = limits_of(plan.config)
        self._repeats: Counter[int] = Counter()
        self._epoch_steps: dict[int, int] = {}
        """Client -> minibatches in one pass over its images."""
        self._stops = False
        """Whether the run is to end after this round."""

    def run(self, dashboard: str | None = None, start_seconds: float = 0.0) -> None:
        """All rounds that are missing, then the scores that are still under way, then the summary.

        Where the listener says so, it ends after a round, with its checkpoint and without a summary.

        Args:
            start_seconds: what it took to come here, for the summary.
        """
        started = time.perf_counter()
        self._checkpoints.sweep()
        first = self._rewind()
        self._take_inventory()
        self._restore(first)
        self._scores.prepare()
        for warning in self._plan.warnings:
            self._listener.on_fault(warning)
        self._listener.on_start(self._plan, self._num_steps(self._epoch_steps), first, dashboard)
        number = first
        while number < self._config.training.rounds and not self._budgets.are_spent(self._available(), number):
            try:
                result = self._round(number)
            except RoundLost as lost:
                number = self._go_back(number, lost)
                continue
            self._end_round(result)
            number += 1
            if self._stops and number < self._config.training.rounds:
                return
        self._scores.write(wait=True)
        seconds = time.perf_counter() - started
        spent = {"budgets_spent": True} if number < self._config.training.rounds else {}
        ended = summary(self._folder, self._layout, first, seconds, start_seconds)
        write_json(self._folder.summary_file, {**ended, **spent})
        self._push()

    def _end_round(self, result: RoundResult) -> None:
        """Writes what the round left, and asks for its scores."""
        for name, record in result.records.items():
            append_json_line(self._folder.record_file(name), record)
        self._scores.add(result, self._listener.take())
        self._scores.write(wait=self._stops)
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
            RoundLost: a server or an aggregator was lost in it.
            StoppedError: too few clients are left.
        """
        started = time.perf_counter()
        cohort = self._cohort(number)
        self._budgets.begin(cohort)
        result = self._algorithm.round(self._federation, self._state, cohort)
        spending = self._budgets.end(result.epochs)
        result = replace(result, seconds=time.perf_counter() - started, spending=spending)
        self._tell(result)
        self._listener.on_usage(self._backend.usage())
        self._roster.after_round(result)
        self._stops = self._listener.should_stop()
        if self._stops or self._checkpoints.due(number, self._config.training.rounds):
            self._save(result)
        self._roster.check_rejoined()
        self._state = result.state
        return result

    def _go_back(self, number: int, lost: RoundLost) -> int:
        """The round to go on with after a loss: the one after the last checkpoint, with everybody at its state.

        Raises:
            StoppedError: the round was lost too often.
        """
        self._repeats[number] += 1
        times = self._repeats[number]
        if decide(lost.missing, times, self._limits) == "stop":
            found = f"round {number + 1} was lost {times} times ({lost})"
            raise StoppedError(f"{found}: stopped; {self._advice(lost)}")
        kept = self._checkpoints.last_whole(number)
        if kept < number:
            self._scores.write(wait=True)
            kept = self._rewind(at_most=kept)
        self._listener.on_fault(f"round {kept + 1} begins again: {lost}")
        failed = Missing("round", "round_end", "unexplained", str(lost))
        if not self._restart_all(kept) and decide(failed, times, self._limits) == "stop":
            advice = f"; {self._advice(lost)}" if NOT_FINITE in str(lost) else ""
            raise StoppedError(f"round {number + 1} fails whenever it is run ({lost}): stopped{advice}")
        return kept

    def _advice(self, lost: RoundLost) -> str:
        """What a user may do about a round that is lost again and again."""
        return not_finite(self._config.training) if NOT_FINITE in str(lost) else "look for the cause in Ray's logs"

    def _rewind(self, at_most: int | None = None) -> int:
        names = self._algorithm.record_names
        return self._folder.rewind(self._checkpoints, names, self._listener.on_fault, at_most)

    def _available(self) -> list[int]:
        """Clients that can take part in a round, as far as their budgets allow it."""
        there = [client for worker in self._backend.workers for client in self._layout.workers[worker].ids]
        return [client for client in there if client not in self._plan.dropped]

    def _cohort(self, number: int) -> Cohort:
        able = set(self._available()) - self._budgets.spent
        clients = sample_clients(able, self._config, number)
        fewest = max(self._config.training.min_clients, least_members(self._config.privacy))
        return Cohort(number, self._num_steps(clients), clients, fewest)

    def _num_steps(self, clients: Iterable[int]) -> int:
        """The most steps that the local epochs of any of these clients give."""
        return self._config.training.local_epochs * max(self._epoch_steps.get(c, 0) for c in clients)

    def _tell(self, result: RoundResult) -> None:
        """Faults of the round that no step has told."""
        for worker, steps in sorted(result.epochs.absent.items()):
            if worker in self._backend.workers and worker not in result.epochs.lost:
                name = self._layout.workers[worker].name
                self._listener.on_fault(f"{name} was late and sat out {steps} steps")
        for fault in (*result.epochs.faults, *result.faults):
            self._listener.on_fault(fault)

    def _restart_all(self, number: int) -> bool:
        """New actors in the place of the lost ones, all at the state of the last checkpoint; before the first, all are
        new. Returns whether any was lost."""
        backend = self._backend
        lost = [worker for worker, handle in backend.workers.items() if not backend.alive(handle)]
        server_is_lost = not all(backend.alive(handle) for handle in backend.servers)
        if number == 0 or server_is_lost:
            backend.restart_servers()
        num_aggregators = backend.restart_aggregators()
        self._roster.start_again(list(backend.workers) if number == 0 else lost)
        self._restore(number)
        return bool(lost or server_is_lost or num_aggregators)

    def _restore(self, number: int) -> None:
        """Everybody at the state after `number` rounds, ready for the next."""
        self._load(number)
        self._algorithm.prepare(self._federation)

    def _load(self, number: int) -> None:
        """Loads the checkpoint after `number` rounds into servers and workers; nothing to do before the first."""
        if number == 0:
            self._state = self._algorithm.init()
            self._budgets.restored()
            return
        checkpoint = self._checkpoints.of(number - 1)
        folder, manifest = str(checkpoint.path), checkpoint.manifest()
        self._state = state_after(manifest, self._algorithm.init(), self._layout)
        for worker in list(self._backend.workers):
            if set(self._layout.workers[worker].ids) <= set(manifest.set_aside):
                self._roster.give_up(worker)
        calls: list[Reference[None]] = [
            handle.call(Server.restore, folder, self._state.serves) for handle in self._backend.servers
        ]
        for worker, handle in self._backend.workers.items():
            ids = self._layout.workers[worker].ids
            sources = manifest.sources(self._algorithm.model_kind, self._state.serves, ids)
            calls.append(handle.call(Worker.restore, folder, sources))
        self._backend.fetch(calls)
        self._budgets.restored()

    def _take_inventory(self) -> None:
        """Asks every client how much it holds; a worker that dies over it is started again."""
        workers, times = list(self._backend.workers), 0
        while lost := self._ask_inventory(workers):
            times += 1
            if any(decide(missing, times, self._limits) == "stop" for missing in lost.values()):
                found = "client actors die as soon as they are started"
                raise StoppedError(f"{found}: look for the cause in Ray's logs")
            self._roster.start_again(lost)
            workers = [worker for worker in lost if worker in self._backend.workers]

    def _ask_inventory(self, workers: Sequence[int]) -> dict[int, Missing]:
        """Takes in what these workers hold; returns those that are lost."""
        asked = {
            worker: self._backend.workers[worker].call_many(len(self._layout.workers[worker].ids), Worker.inventory)
            for worker in workers
        }
        lost = {}
        for worker, references in asked.items():
            for entry in self._backend.fetch(references):
                if isinstance(entry, Lost):
                    lost[worker] = Missing.lost("worker", "start", entry)
                else:
                    self._epoch_steps[entry.client] = entry.batches_per_epoch
        return lost

    def _on_step(self, number: int, step: int, reports: list[StepReport]) -> None:
        for fault in (fault for report in reports for fault in report.faults):
            self._listener.on_fault(fault)
        self._listener.on_step(number, step, mean_losses(reports), sum(report.num_images for report in reports))
        self._listener.on_reports({self._layout.workers[r.worker].name: r for r in reports})

    def _save(self, result: RoundResult) -> None:
        """A checkpoint: each actor writes its own file, the driver only the manifest.

        Raises:
            RunError: it cannot be written (a full disk); those before it are whole.
            StoppedError: actors die again and again while they write.
        """
        checkpoint, times = self._checkpoints.of(result.cohort.round), 0
        try:
            while not self._try_to_save(result, checkpoint):
                times += 1
                if decide(Missing("round", "checkpoint", "unwritten"), times, self._limits) == "stop":
                    found = "no checkpoint could be written: stopped"
                    raise StoppedError(f"{found}; look for the cause in Ray's logs")
        except RunError:
            remove_folder(checkpoint.draft)
            raise

    def _try_to_save(self, result: RoundResult, checkpoint: Checkpoint) -> bool:
        """Whether all were there to write their files; lost workers are replaced, so that another try may do it.

        Raises:
            RoundLost: a server, or an aggregator with its averages, is lost.
        """
        draft = checkpoint.begin()
        asked: dict[int | Role, Sequence[Reference[Written | Lost | None]]] = {
            worker: [handle.call(Worker.save, draft)] for worker, handle in self._backend.workers.items()
        }
        asked["server"] = [handle.call(Server.save, draft) for handle in self._backend.servers]
        asked["aggregator"] = self._save_models(result, draft)
        answers = iter(self._backend.fetch([reference for of_one in asked.values() for reference in of_one]))
        written: list[Written] = []
        lost: dict[int, Lost] = {}
        for writer, references in asked.items():
            for answer in islice(answers, len(references)):
                if isinstance(writer, str):
                    of_server = needed(answer, "checkpoint", writer)
                    written += [of_server] if of_server is not None else []
                elif isinstance(answer, Lost):
                    lost[writer] = answer
                elif answer is not None:
                    written.append(answer)
        self._roster.check_rejoined()
        if lost:
            self._roster.lost_while_saving(lost, result)
            return False
        gone = [client for worker in self._roster.given_up for client in self._layout.workers[worker].ids]
        checkpoint.finish(written, result.served, sorted(gone), result.state.model_dump(mode="json"), self._config)
        return True

    def _save_models(self, result: RoundResult, draft: str) -> list[Reference[Written | Lost]]:
        aggregators = self._backend.aggregators(min(len(result.models), MAX_SAVERS))
        kind = self._algorithm.model_kind
        return [
            aggregators[place % MAX_SAVERS].call(
                ClusterAggregator.save,
                f"{draft}/{model_file(f'{kind}-{model.identity}')}",
                model.all_blocks,
            )
            for place, model in enumerate(result.models.values())
        ]


def sample_clients(available: Iterable[int], config: Config, round_number: int) -> tuple[int, ...]:
    """The clients of a round, ascending: all, or as many as `training.participation` asks for, drawn evenly.

    Args:
        available: clients that have not been set aside.
        round_number: from 0; with the seed it decides the draw.
    """
    clients = sorted(available)
    count = min(config.clients_a_round, len(clients))
    if count == len(clients):
        return tuple(clients)
    drawn = stream(config.seed, "participation", round_number).choice(clients, count, replace=False)
    return tuple(sorted(drawn.tolist()))
