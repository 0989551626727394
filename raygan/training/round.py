"""One round of the method (arXiv 2507.12979): local epochs of split steps, then cluster, weigh, aggregate."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from raygan.actors.group import Group, Reference
from raygan.actors.layout import Layout
from raygan.messages import Assignment, BlockKey, Lost, StepId, StepReport
from raygan.training.step import train_step

Averages = dict[BlockKey, Reference]
OnStep = Callable[[int, list[StepReport]], None]


@dataclass(frozen=True)
class RoundResult:
    """What a round leaves behind: small records, and references to the averages."""

    round: int
    assignment: Assignment
    averages: Mapping[int, Averages]
    """Cluster -> reference to the average of every block."""
    reports: tuple[StepReport, ...]
    train_seconds: float
    end_seconds: float
    """Seconds of clustering, weighting and aggregation."""


def train_round(
    group: Group,
    layout: Layout,
    round_number: int,
    num_steps: int,
    num_samples: Mapping[int, int],
    steps_ahead: int,
    on_step: OnStep,
) -> RoundResult:
    """One round.

    Args:
        num_steps: steps of the round (the most that any client's local epochs give).
        num_samples: client -> training images.
        steps_ahead: steps that may be submitted before the oldest has ended.
        on_step: called with each step's number and reports.
    """
    started = time.perf_counter()
    begin_round(group, round_number)
    reports = local_epochs(group, layout, round_number, num_steps, steps_ahead, on_step)
    trained = time.perf_counter()
    assignment = cluster_and_weigh(group, round_number, num_samples)
    averages = aggregate(group, layout, assignment)
    ended = time.perf_counter()
    return RoundResult(round_number, assignment, averages, reports, trained - started, ended - trained)


def begin_round(group: Group, round_number: int) -> None:
    """Clients shuffle their images, the body forgets the last round's features."""
    for handle in (*group.hosts.values(), group.body):
        handle.call("begin_round", round_number)


def local_epochs(
    group: Group, layout: Layout, round_number: int, num_steps: int, steps_ahead: int, on_step: OnStep
) -> tuple[StepReport, ...]:
    """All steps of a round, at most `steps_ahead` of them submitted before the oldest has ended."""
    reports: list[StepReport] = []
    under_way: deque[tuple[int, list[Reference]]] = deque()

    def finish_oldest() -> None:
        step, references = under_way.popleft()
        arrived = [_present(report) for report in group.fetch(references)]
        reports.extend(arrived)
        on_step(step, arrived)

    for step in range(num_steps):
        under_way.append((step, train_step(group, layout, StepId(round_number, step))))
        if len(under_way) > steps_ahead:
            finish_oldest()
    while under_way:
        finish_oldest()
    return tuple(reports)


def cluster_and_weigh(group: Group, round_number: int, num_samples: Mapping[int, int]) -> Assignment:
    """The body clusters and weighs the clients by its anchor activations: nothing new leaves a client."""
    (assignment,) = group.fetch([group.body.call("assign", round_number, dict(num_samples))])
    return _present(assignment)


def aggregate(group: Group, layout: Layout, assignment: Assignment) -> dict[int, Averages]:
    """Each cluster's average goes to its members, block by block; the body takes the average over all."""
    states: dict[int, Reference] = {}
    for host in layout.hosts:
        states |= zip(host.ids, group.hosts[host.host].call_many("state", len(host.ids)), strict=True)
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
    group.body.call("load", for_body.call_many("average", len(held), held, weights, body, chosen))
    _load_clients(group, layout, assignment, averages)
    return averages


def _load_clients(
    group: Group, layout: Layout, assignment: Assignment, averages: Mapping[int, Averages]
) -> None:
    for host in layout.hosts:
        theirs = {
            plan.client: [averages[assignment.cluster[plan.client]][key] for key in layout.held_blocks(plan)]
            for plan in host.clients
            if plan.client in assignment.cluster
        }
        group.hosts[host.host].call("load", theirs)


def _members(assignment: Assignment) -> dict[int, list[int]]:
    members: dict[int, list[int]] = {}
    for client, cluster in sorted(assignment.cluster.items()):
        members.setdefault(cluster, []).append(client)
    return dict(sorted(members.items()))


def _present(record):
    """The record, or the end of the run where it is lost."""
    if isinstance(record, Lost):
        raise RuntimeError(f"an actor was lost: {record.reason}")
    return record
