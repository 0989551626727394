"""One round of the method (arXiv 2507.12979): local epochs of split steps, then cluster, weigh, aggregate."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from raygan.errors import StoppedError
from raygan.runtime.backend import Group, Reference
from raygan.runtime.deadline import Deadline
from raygan.split.layout import Layout
from raygan.split.submit import Submitted, train_step
from raygan.wire.records import Assignment, BlockKey, BodyReport, Lost, StepId, StepReport

Averages = dict[BlockKey, Reference]
OnStep = Callable[[int, int, list[StepReport]], None]
MAX_AVERAGINGS = 3
"""Averages over which aggregators are lost more often are given up, and the round with them."""


class RoundLost(RuntimeError):  # noqa: N818 - a state of the round, not a mistake
    """The body or an aggregator was lost: the round begins again from the last checkpoint."""


@dataclass(frozen=True)
class Epochs:
    """What the steps of a round tell."""

    reports: list[StepReport] = field(default_factory=list)
    body: list[BodyReport] = field(default_factory=list)
    lost: dict[int, str] = field(default_factory=dict)
    """Host -> why, of the workers whose actor died."""
    late: set[int] = field(default_factory=set)
    """Roster that missed a step's deadline: they sit out the rest of the round."""
    faults: list[str] = field(default_factory=list)
    """Of clients that cannot be averaged."""
    absent: Counter[int] = field(default_factory=Counter)
    """Host -> steps that it sat out, late or lost."""

    @property
    def gone(self) -> set[int]:
        """Roster that take no part in the rest of the round."""
        return {*self.lost, *self.late}


@dataclass(frozen=True)
class RoundResult:
    """What a round leaves behind: small records, and references to the averages."""

    round: int
    assignment: Assignment
    averages: Mapping[int, Averages]
    """Cluster -> reference to the average of every block."""
    epochs: Epochs
    train_seconds: float
    end_seconds: float
    """Seconds of clustering, weighting and aggregation."""


@dataclass(frozen=True)
class RoundPlan:
    """One round to be."""

    number: int
    """From 0."""
    num_steps: int
    """The most that any client's local epochs give."""
    taking_part: tuple[int, ...]
    """Clients."""
    min_clients: int
    """Fewer than these must not be averaged."""
    steps_ahead: int
    """Steps that may be under way at a time."""


def train_round(
    group: Group, layout: Layout, plan: RoundPlan, on_step: OnStep, deadline: Deadline | None = None
) -> RoundResult:
    """One round.

    Args:
        on_step: called with the round's and each step's number and its reports.
        deadline: how long a step waits for stragglers; None: until they come.

    Raises:
        RoundLost: the body or an aggregator was lost.
        StoppedError: too few clients are left.
    """
    started = time.perf_counter()
    begin_round(group, plan.number, plan.taking_part)
    epochs = local_epochs(group, layout, plan, on_step, deadline or Deadline(None))
    trained = time.perf_counter()
    num_samples = check_in(group, layout, plan, epochs)
    assignment = cluster_and_weigh(group, plan.number, num_samples)
    averages, lost = aggregate(group, layout, assignment)
    epochs.lost.update(lost)
    ended = time.perf_counter()
    return RoundResult(plan.number, assignment, averages, epochs, trained - started, ended - trained)


def begin_round(group: Group, round_number: int, taking_part: Sequence[int] | None = None) -> None:
    """Clients that take part (None: all) shuffle their images, the body forgets the last round's features."""
    for handle in group.workers.values():
        handle.call("begin_round", round_number, taking_part)
    group.body.call("begin_round", round_number)


def local_epochs(
    group: Group, layout: Layout, plan: RoundPlan, on_step: OnStep, deadline: Deadline
) -> Epochs:
    """All steps of a round, at most `steps_ahead` of them under way at a time."""
    epochs = Epochs()
    idle = {worker.worker for worker in layout.workers if not set(worker.ids) & set(plan.taking_part)}
    under_way: deque[Submitted] = deque()
    for number in range(plan.num_steps):
        if len(under_way) >= plan.steps_ahead:
            _finish(group, under_way.popleft(), epochs, on_step, deadline)
        step = StepId(plan.number, number)
        if deadline.seconds is not None:
            group.begin_step(step, deadline.seconds)
        under_way.append(train_step(group, layout, step, without=idle | epochs.gone))
        epochs.absent.update(epochs.gone)
    while under_way:
        _finish(group, under_way.popleft(), epochs, on_step, deadline)
    return epochs


def _finish(group: Group, submitted: Submitted, epochs: Epochs, on_step: OnStep, deadline: Deadline) -> None:
    """Takes in a step's records. A late or lost worker is a value; a lost body ends the round."""
    (body,) = group.fetch([submitted.body])
    epochs.body.append(_needed(body))
    absent = set(body.absent) & set(submitted.workers)
    epochs.absent.update(absent)
    if deadline.seconds is not None:
        epochs.late.update(absent - epochs.lost.keys())
    arrived = []
    for worker, report in _reports(group, submitted, epochs.late, deadline.seconds):
        if not isinstance(report, Lost):
            arrived.append(report)
        elif report.late:
            epochs.late.add(worker)
        else:
            epochs.late.discard(worker)
            epochs.lost[worker] = report.reason
    if not absent:
        deadline.note(body, arrived)
    epochs.reports.extend(arrived)
    on_step(submitted.id.round, submitted.id.step, arrived)


def _reports(
    group: Group, submitted: Submitted, late: Collection[int], deadline_s: float | None
) -> list[tuple[int, StepReport | Lost]]:
    """Host -> its report; those of late workers are not waited for."""
    records: dict[int, StepReport | Lost] = {}
    for timeout_s, wanted in ((0.0, late), (deadline_s, submitted.workers.keys() - set(late))):
        workers = [worker for worker in submitted.workers if worker in wanted]
        references = [submitted.workers[worker] for worker in workers]
        records |= zip(workers, group.fetch(references, timeout_s), strict=True)
    return [(worker, records[worker]) for worker in submitted.workers]


def check_in(group: Group, layout: Layout, plan: RoundPlan, epochs: Epochs) -> dict[int, int]:
    """Client -> training images, of those that took part and are there with finite parameters.

    Raises:
        RoundLost: none is left.
        StoppedError: they are too few.
    """
    num_samples: dict[int, int] = {}
    workers = [worker for worker in group.workers if worker not in epochs.late]
    answers = group.fetch([group.workers[worker].call("check_in") for worker in workers])
    for worker, answer in zip(workers, answers, strict=True):
        if isinstance(answer, Lost):
            epochs.lost[worker] = answer.reason
        else:
            num_samples |= answer.num_images
            epochs.faults.extend(answer.faults)
    present = {client: num_samples[client] for client in plan.taking_part if client in num_samples}
    if not present and epochs.late and not epochs.lost:
        raise StoppedError(
            f"round {plan.number + 1}: every client missed the step's deadline (ray.step_deadline_s): stopped; "
            f"raise it above the seconds of a step"
        )
    if not present:
        raise RoundLost(next(iter([*epochs.lost.values(), *epochs.faults]), "no client took part in it"))
    if len(present) < plan.min_clients:
        raise StoppedError(
            f"round {plan.number + 1} has {len(present)} of at least {plan.min_clients} clients "
            f"(training.min_clients) at its end: stopped"
        )
    return present


def cluster_and_weigh(group: Group, round_number: int, num_samples: Mapping[int, int]) -> Assignment:
    """The body clusters and weighs the clients by its anchor activations: nothing new leaves a client."""
    (assignment,) = group.fetch([group.body.call("assign", round_number, dict(num_samples))])
    return _needed(assignment)


def aggregate(
    group: Group, layout: Layout, assignment: Assignment
) -> tuple[dict[int, Averages], dict[int, str]]:
    """Each cluster's average goes to its members, block by block; the body takes the average over all. The work of an
    aggregator that is lost over it is done again.

    Returns:
        Cluster -> averages, and worker -> why, of the workers that were lost before they had theirs.

    Raises:
        RoundLost: the body was lost, or a client whose state was not out yet.
    """
    states: dict[int, Reference] = {}
    for worker in _present(group, layout, assignment):
        ids = layout.workers[worker].ids
        states |= zip(ids, group.workers[worker].call_many("state", len(ids)), strict=True)
    body = group.body.call("state")
    for _ in range(MAX_AVERAGINGS):
        try:
            return _average_and_load(group, layout, assignment, states, body)
        except RoundLost as lost:
            reason = lost
            if not group.restart_aggregators():
                raise
    raise reason


def _average_and_load(
    group: Group, layout: Layout, assignment: Assignment, states: Mapping[int, Reference], body: Reference
) -> tuple[dict[int, Averages], dict[int, str]]:
    members = _members(assignment)
    *aggregators, for_body = group.aggregators(len(members) + 1)
    averages: dict[int, Averages] = {}
    for (cluster, clients), aggregator in zip(members.items(), aggregators, strict=True):
        weights = [assignment.weight[client] for client in clients]
        chosen = [states[client] for client in clients]
        out = aggregator.call_many(
            "average", len(layout.all_blocks), layout.all_blocks, weights, body, chosen
        )
        averages[cluster] = dict(zip(layout.all_blocks, out, strict=True))
    everybody = sorted(assignment.cluster)
    weights = [assignment.body_weight[client] for client in everybody]
    chosen = [states[client] for client in everybody]
    held = layout.body_held
    averaged = for_body.call_many("average", len(held), held, weights, body, chosen)
    present = _present(group, layout, assignment)
    answers = {
        worker: load_averages(group, layout, worker, assignment.cluster, averages) for worker in present
    }
    return averages, _lost_over(group, group.body.call("load", averaged), answers)


def _present(group: Group, layout: Layout, assignment: Assignment) -> list[int]:
    """The workers of clients that are averaged."""
    return [worker for worker in group.workers if assignment.cluster.keys() & set(layout.workers[worker].ids)]


def load_averages(
    group: Group,
    layout: Layout,
    worker: int,
    cluster: Mapping[int, int],
    averages: Mapping[int, Averages],
    method: str = "load",
) -> Reference:
    """Each client of a worker that has a cluster takes over its averages of the blocks that it holds."""
    theirs = {
        plan.client: [averages[cluster[plan.client]][key] for key in layout.held_blocks(plan)]
        for plan in layout.workers[worker].clients
        if plan.client in cluster
    }
    return group.workers[worker].call(method, theirs)


def _lost_over(group: Group, body: Reference, workers: Mapping[int, Reference]) -> dict[int, str]:
    """Waits until all have their averages; one that is alive and has none tells of a lost aggregator."""
    body_answer, *answers = group.fetch([body, *workers.values()])
    _needed(body_answer)
    lost = {worker: a.reason for worker, a in zip(workers, answers, strict=True) if isinstance(a, Lost)}
    for worker, reason in lost.items():
        if group.alive(group.workers[worker]):
            raise RoundLost(reason)
    return lost


def _members(assignment: Assignment) -> dict[int, list[int]]:
    members: dict[int, list[int]] = {}
    for client, cluster in sorted(assignment.cluster.items()):
        members.setdefault(cluster, []).append(client)
    return dict(sorted(members.items()))


def _needed(record):
    """The record; without it the round cannot go on.

    Raises:
        RoundLost: it is lost.
    """
    if isinstance(record, Lost):
        raise RoundLost(record.reason)
    return record
