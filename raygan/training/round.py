"""One round of the method (arXiv 2507.12979): local epochs of split steps, then cluster, weigh, aggregate."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from raygan.actors.group import Group, Reference
from raygan.actors.layout import Layout
from raygan.messages import Assignment, BlockKey, BodyReport, Lost, StepId, StepReport
from raygan.training.step import Submitted, train_step

Averages = dict[BlockKey, Reference]
OnStep = Callable[[int, int, list[StepReport]], None]


class RoundLost(RuntimeError):  # noqa: N818 - a state of the round, not a mistake
    """The body or an aggregator was lost: the round begins again from the last checkpoint."""


@dataclass(frozen=True)
class Epochs:
    """What the steps of a round tell."""

    reports: list[StepReport] = field(default_factory=list)
    body: list[BodyReport] = field(default_factory=list)
    lost: dict[int, str] = field(default_factory=dict)
    """Host -> why, of the hosts whose actor died."""
    faults: list[str] = field(default_factory=list)
    """Of clients that cannot be averaged."""
    absent: Counter[int] = field(default_factory=Counter)
    """Host -> steps that it sat out, late or lost."""


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


def train_round(
    group: Group,
    layout: Layout,
    round_number: int,
    num_steps: int,
    steps_ahead: int,
    on_step: OnStep,
) -> RoundResult:
    """One round.

    Args:
        num_steps: steps of the round (the most that any client's local epochs give).
        steps_ahead: steps that may be under way at a time.
        on_step: called with the round's and each step's number and its reports.

    Raises:
        RoundLost: the body or an aggregator was lost.
    """
    started = time.perf_counter()
    begin_round(group, round_number)
    epochs = local_epochs(group, layout, round_number, num_steps, steps_ahead, on_step)
    trained = time.perf_counter()
    num_samples = roll_call(group, epochs)
    assignment = cluster_and_weigh(group, round_number, num_samples)
    averages = aggregate(group, layout, assignment, epochs.lost)
    ended = time.perf_counter()
    return RoundResult(round_number, assignment, averages, epochs, trained - started, ended - trained)


def begin_round(group: Group, round_number: int) -> None:
    """Clients shuffle their images, the body forgets the last round's features."""
    for handle in (*group.hosts.values(), group.body):
        handle.call("begin_round", round_number)


def local_epochs(
    group: Group, layout: Layout, round_number: int, num_steps: int, steps_ahead: int, on_step: OnStep
) -> Epochs:
    """All steps of a round, at most `steps_ahead` of them under way at a time."""
    epochs = Epochs()
    under_way: deque[Submitted] = deque()
    for step in range(num_steps):
        if len(under_way) >= steps_ahead:
            _finish(group, under_way.popleft(), epochs, on_step)
        under_way.append(train_step(group, layout, StepId(round_number, step)))
    while under_way:
        _finish(group, under_way.popleft(), epochs, on_step)
    return epochs


def _finish(group: Group, submitted: Submitted, epochs: Epochs, on_step: OnStep) -> None:
    """Takes in a step's records. A lost host is a value; a lost body ends the round."""
    *reports, body = group.fetch([*submitted.hosts.values(), submitted.body])
    epochs.body.append(_needed(body))
    epochs.absent.update(body.absent)
    arrived = []
    for host, report in zip(submitted.hosts, reports, strict=True):
        if isinstance(report, Lost):
            epochs.lost[host] = report.reason
        else:
            arrived.append(report)
    epochs.reports.extend(arrived)
    on_step(submitted.id.round, submitted.id.step, arrived)


def roll_call(group: Group, epochs: Epochs) -> dict[int, int]:
    """Client -> training images, of those that are there with finite parameters."""
    num_samples: dict[int, int] = {}
    answers = group.fetch([handle.call("presence") for handle in group.hosts.values()])
    for host, answer in zip(list(group.hosts), answers, strict=True):
        if isinstance(answer, Lost):
            epochs.lost[host] = answer.reason
        else:
            num_samples |= answer.num_images
            epochs.faults.extend(answer.faults)
    return dict(sorted(num_samples.items()))


def cluster_and_weigh(group: Group, round_number: int, num_samples: Mapping[int, int]) -> Assignment:
    """The body clusters and weighs the clients by its anchor activations: nothing new leaves a client."""
    (assignment,) = group.fetch([group.body.call("assign", round_number, dict(num_samples))])
    return _needed(assignment)


def aggregate(
    group: Group, layout: Layout, assignment: Assignment, lost: Iterable[int] = ()
) -> dict[int, Averages]:
    """Each cluster's average goes to its members, block by block; the body takes the average over all."""
    present = [host for host in group.hosts if host not in set(lost)]
    states: dict[int, Reference] = {}
    for host in present:
        ids = layout.hosts[host].ids
        states |= zip(ids, group.hosts[host].call_many("state", len(ids)), strict=True)
    body = group.body.call("state")
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
    answers = {host: load_averages(group, layout, host, assignment.cluster, averages) for host in present}
    _check_loaded(group, group.body.call("load", averaged), answers)
    return averages


def load_averages(
    group: Group,
    layout: Layout,
    host: int,
    cluster: Mapping[int, int],
    averages: Mapping[int, Averages],
    method: str = "load",
) -> Reference:
    """Each client of a host that has a cluster takes over its averages of the blocks that it holds."""
    theirs = {
        plan.client: [averages[cluster[plan.client]][key] for key in layout.held_blocks(plan)]
        for plan in layout.hosts[host].clients
        if plan.client in cluster
    }
    return group.hosts[host].call(method, theirs)


def _check_loaded(group: Group, body: Reference, hosts: Mapping[int, Reference]) -> None:
    """Waits until all have their averages; one that is alive and has none tells of a lost aggregator."""
    body_answer, *answers = group.fetch([body, *hosts.values()])
    _needed(body_answer)
    for host, answer in zip(hosts, answers, strict=True):
        if isinstance(answer, Lost) and group.alive(group.hosts[host]):
            raise RoundLost(answer.reason)


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
