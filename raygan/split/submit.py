"""Submits one step, as `raygan.step` tells it: a phase of every client, then a pass through the body, and so on.

Only references pass through here: activations and gradients go from party to party.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from raygan.runtime.backend import Reference
from raygan.runtime.federation import Federation
from raygan.runtime.steps import Submitted
from raygan.split.body import SharedBody
from raygan.split.layout import Layout
from raygan.split.worker import SplitClients
from raygan.step import CROSSINGS, STEP, Crossing
from raygan.wire.records import Lost, StepId

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
        sent = {
            worker: handle.submit(phase.name, 1, [step, received[worker]])[0]
            for worker, handle in workers.items()
        }
    return Submitted(step, sent, federation.server.call(SharedBody.report, step))


def _through_body(
    federation: Split, layout: Layout, step: StepId, crossing: Crossing, messages: ByWorker
) -> ByWorker:
    """One pass through the body, stage by stage: workers enter and leave where their cuts say."""
    stages = list(enumerate(layout.stages[crossing.way.network]))
    forward = crossing.direction == "forward"
    received: dict[int, Reference[Any]] = {}
    for index, stage in stages if forward else reversed(stages):
        entering, leaving = (stage.entering, stage.leaving) if forward else (stage.leaving, stage.entering)
        sent = {worker: messages.get(worker, SET_ASIDE) for worker in entering}
        arguments = [step, crossing.pass_name, index, sent]
        out = federation.server.submit(crossing.direction, len(leaving), arguments, many=True)
        received.update(zip(leaving, out, strict=True))
    return received
