"""Submits one step, as `raygan.step` tells it (a phase of every client, then a pass through the body, and so on), and the
averages of a round's end.

Only references pass through here: activations, gradients and states go from party to party.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from raygan.runtime.averages import Averages, workers_of
from raygan.runtime.backend import Reference, by_key, together
from raygan.runtime.federation import Federation
from raygan.runtime.steps import Submitted
from raygan.split.body import SharedBody
from raygan.split.layout import Layout
from raygan.split.worker import SplitClients
from raygan.step import CROSSINGS, STEP, Crossing
from raygan.wire.records import BlockAverage, Lost, StepId

Split = Federation[SplitClients, SharedBody]
ByWorker = Mapping[int, Reference[Any]]
"""What the workers sent or received: its type is the table's, row by row, and the contract checks it."""
SET_ASIDE = Lost("set aside", "late")
"""Stands for the messages of a worker that does not take part."""


def train_step(federation: Split, layout: Layout, step: StepId, without: Collection[int] = ()) -> Submitted:
    """Submits one step.

    Args:
        without: workers that sit it out.
    """
    workers = {worker: handle for worker, handle in federation.workers.items() if worker not in without}
    first, *others = STEP
    sent: ByWorker = {worker: handle.submit(first.name, 1, [step])[0] for worker, handle in workers.items()}
    for crossing, phase in zip(CROSSINGS, others, strict=True):
        received = _through_body(federation, layout, step, crossing, sent)
        sent = {worker: handle.submit(phase.name, 1, [step, received[worker]])[0] for worker, handle in workers.items()}
    body, *replicas = federation.of_all_servers(SharedBody.report, step)
    return Submitted(step, sent, body, replicas)


def _through_body(federation: Split, layout: Layout, step: StepId, crossing: Crossing, messages: ByWorker) -> ByWorker:
    """One pass through the body, stage by stage: workers enter and leave where their cuts say, each at its replica."""
    network, forward = crossing.way.network, crossing.direction == "forward"
    of_replicas = [layout.stages_of(replica)[network] for replica in range(layout.replicas)]
    indices = range(len(layout.stages[network]))
    received: dict[int, Reference[Any]] = {}
    for index in indices if forward else reversed(indices):
        calls, leaving = [], []
        for stage in (stages[index] for stages in of_replicas):
            enters, leaves = (stage.entering, stage.leaving) if forward else (stage.leaving, stage.entering)
            sent = {worker: messages.get(worker, SET_ASIDE) for worker in enters}
            calls.append((len(leaves), [step, crossing.pass_name, index, sent]))
            leaving.append(leaves)
        for leaves, out in zip(leaving, federation.lockstep(crossing.direction, calls), strict=True):
            received.update(zip(leaves, out, strict=True))
    return received


def load_averages(
    federation: Split,
    layout: Layout,
    cluster: Mapping[int, int],
    models: Mapping[int, Averages],
    serves: Mapping[int, int],
    of_all: Averages | None,
) -> dict[int, Lost]:
    """Each client takes over its cluster's model, the body the average over all clients or, where there
    is none, each of its trunks its cluster's; who was lost over it.

    Args:
        serves: client -> its cluster from now on, of all clients.
    """
    answers = {
        worker: federation.workers[worker].call(SplitClients.load, _averages(layout, worker, cluster, models))
        for worker in workers_of(federation, layout, cluster)
    }
    if of_all is None:
        trunks = {number: together([blocks[key] for key in layout.body_held]) for number, blocks in models.items()}
        loaded = federation.of_all_servers(SharedBody.load_own, by_key(trunks), dict(serves))
    else:
        loaded = federation.of_all_servers(SharedBody.load, together(list(of_all.values())))
    return federation.loaded(loaded, answers)


def rejoin(
    federation: Split, layout: Layout, worker: int, cluster: Mapping[int, int], models: Mapping[int, Averages]
) -> Reference[Lost | None]:
    """A worker that is back takes over its clients' models."""
    averages = _averages(layout, worker, cluster, models)
    return federation.workers[worker].call(SplitClients.rejoin, averages)


def _averages(
    layout: Layout, worker: int, cluster: Mapping[int, int], models: Mapping[int, Averages]
) -> Reference[Mapping[int, Sequence[BlockAverage | Lost]]]:
    """For each client of a worker that has a cluster, its averages of the blocks that it holds."""
    plans = [plan for plan in layout.workers[worker].clients if plan.client in cluster]
    return by_key(
        {
            plan.client: together([models[cluster[plan.client]][key] for key in layout.held_blocks(plan)])
            for plan in plans
        }
    )
