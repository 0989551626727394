"""One step: a D update and a G update of all participating clients (README, "What happens in a run").

Only references pass through here: activations and gradients go from actor to actor.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from raygan.runtime.backend import Group, Reference
from raygan.split.layout import Layout
from raygan.wire.records import Lost, StepId

ByWorker = Mapping[int, Reference]
SET_ASIDE = Lost("set aside")
"""Stands for the messages of a worker that does not take part."""


@dataclass(frozen=True)
class Submitted:
    """A step under way: references to its small records."""

    id: StepId
    workers: ByWorker
    """Host -> `StepReport`."""
    body: Reference
    """`BodyReport`."""


def train_step(group: Group, layout: Layout, step: StepId, without: Collection[int] = ()) -> Submitted:
    """Submits one step.

    Args:
        without: workers that sit it out.
    """
    workers = {worker: handle for worker, handle in group.workers.items() if worker not in without}

    def clients(method: str, messages: ByWorker) -> ByWorker:
        return {worker: handle.call(method, step, messages[worker]) for worker, handle in workers.items()}

    def forward(pass_name: str, messages: ByWorker) -> ByWorker:
        return _through_body(group, layout, step, "forward", pass_name, messages)

    def backward(pass_name: str, messages: ByWorker) -> ByWorker:
        return _through_body(group, layout, step, "backward", pass_name, messages)

    # D update: fakes and reals through D, and the gradients back.
    fakes = forward("generate", {worker: handle.call("generate", step) for worker, handle in workers.items()})
    verdicts = forward("discriminate", clients("discriminate", fakes))
    discriminator_gradients = backward("discriminate", clients("judge", verdicts))
    # G update: the same fakes through the new D, and the gradients through D into G.
    verdicts = forward("fool", clients("update_discriminator", discriminator_gradients))
    image_gradients = backward("fool", clients("fool", verdicts))
    generator_gradients = backward("generate", clients("backpropagate", image_gradients))
    return Submitted(step, clients("update_generator", generator_gradients), group.body.call("report", step))


def _through_body(
    group: Group, layout: Layout, step: StepId, direction: str, pass_name: str, messages: ByWorker
) -> dict[int, Reference]:
    """One pass through the body, stage by stage: workers enter and leave where their cuts say."""
    stages = list(enumerate(layout.stages["generator" if pass_name == "generate" else "discriminator"]))
    received: dict[int, Reference] = {}
    for index, stage in stages if direction == "forward" else reversed(stages):
        entering, leaving = stage.entering, stage.leaving
        if direction == "backward":
            entering, leaving = leaving, entering
        sent = [messages.get(worker, SET_ASIDE) for worker in entering]
        out = group.body.call_many(direction, len(leaving), step, pass_name, index, sent)
        received.update(zip(leaving, out, strict=True))
    return received
