"""Submits one step, as `raygan.step` tells it (a phase of every client, then a pass through the body, and so on), and the
averages of a round's end.

Only references pass through here: activations, gradients and states go from party to party.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, cast

from raygan.runtime.averages import Averages, workers_of
from raygan.runtime.backend import Handle, Reference, by_key, together
from raygan.runtime.federation import Federation
from raygan.runtime.steps import Submitted
from raygan.split.body import SHARED, SharedBody
from raygan.split.layout import Layout
from raygan.split.pipeline import BodySection, in_a_row
from raygan.split.worker import SplitClients
from raygan.step import CROSSINGS, STEP, Crossing
from raygan.wire.records import BlockAverage, Lost, State, StepId

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
    first, *later = STEP
    sent: ByWorker = {worker: handle.submit(first.name, 1, [step])[0] for worker, handle in workers.items()}
    for crossing, phase in zip(CROSSINGS, later, strict=True):
        received = _through_body(federation, layout, step, crossing, sent)
        sent = {worker: handle.submit(phase.name, 1, [step, received[worker]])[0] for worker, handle in workers.items()}
    body, *others = federation.of_all_servers(SharedBody.report, step)
    return Submitted(step, sent, body, others, in_a_row if layout.sections > 1 else None)


def _through_body(federation: Split, layout: Layout, step: StepId, crossing: Crossing, messages: ByWorker) -> ByWorker:
    """One pass through the body, stage by stage: workers enter and leave where their cuts say, each at its replica."""
    if layout.sections > 1:
        return _through_sections(federation, layout, step, crossing, messages)
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


def _through_sections(
    federation: Split, layout: Layout, step: StepId, crossing: Crossing, messages: ByWorker
) -> ByWorker:
    """One pass through a body in sections, one after the other. Each has its stages of the first merged batch, then those
    of the next: meanwhile the section behind it has the first."""
    network, forward = crossing.way.network, crossing.direction == "forward"
    stages = layout.stages[network]
    method = "forward_part" if forward else "backward_part"
    received: dict[int, Reference[Any]] = {}
    carried: dict[int, Any] = {}
    order = range(layout.sections) if forward else reversed(range(layout.sections))
    for section in order:
        own = layout.stages_in[network, section]
        carries = section + 1 < layout.sections if forward else section > 0
        for batch in range(crossing.num_tensors):
            last = batch + 1 == crossing.num_tensors
            for index in own if forward else reversed(own):
                stage = stages[index]
                enters, leaves = (stage.entering, stage.leaving) if forward else (stage.leaving, stage.entering)
                sent = {worker: messages.get(worker, SET_ASIDE) for worker in enters} if batch == 0 else {}
                hands_on = carries and index == (own[-1] if forward else own[0])
                arguments = [step, crossing.pass_name, index, batch, carried.pop(batch, None), sent]
                count = (len(leaves) if last else 0) + hands_on
                out = list(federation.servers[section].submit(method, count, arguments))
                if hands_on:
                    carried[batch] = out.pop()
                received.update(zip(leaves, out, strict=last))
    return received


def body_state(
    federation: Split, layout: Layout, cluster: int = SHARED, clients: Collection[int] = ()
) -> Reference[State | Lost]:
    """What the body holds, as `SharedBody.state`; of a body in sections the first puts it together."""
    if layout.sections == 1:
        return federation.server.call(SharedBody.state, cluster, clients)
    parts = [server.call(SharedBody.state, cluster, clients) for server in federation.servers]
    return cast("Handle[BodySection]", federation.server).call(BodySection.joined, together(parts))


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
    loaded = []
    for section, server in enumerate(federation.servers):
        held = layout.held_by(section if layout.sections > 1 else 0)
        if of_all is None:
            trunks = {number: together([blocks[key] for key in held]) for number, blocks in models.items()}
            loaded.append(server.call(SharedBody.load_own, by_key(trunks), dict(serves)))
        else:
            loaded.append(server.call(SharedBody.load, together([of_all[key] for key in held])))
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
