"""One step: a D update and a G update of all participating clients (README, "What happens in a run").

Only references pass through here: activations and gradients go from actor to actor.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from raygan.runtime.backend import Group, Reference
from raygan.split.layout import Layout
from raygan.wire.records import Lost, StepId

ByHost = Mapping[int, Reference]
SET_ASIDE = Lost("set aside")
"""Stands for the messages of a host that does not take part."""


@dataclass(frozen=True)
class Submitted:
    """A step under way: references to its small records."""

    id: StepId
    hosts: ByHost
    """Host -> `StepReport`."""
    body: Reference
    """`BodyReport`."""


def train_step(group: Group, layout: Layout, step: StepId, without: Collection[int] = ()) -> Submitted:
    """Submits one step.

    Args:
        without: hosts that sit it out.
    """
    hosts = {host: handle for host, handle in group.hosts.items() if host not in without}

    def clients(method: str, messages: ByHost) -> ByHost:
        return {host: handle.call(method, step, messages[host]) for host, handle in hosts.items()}

    def forward(pass_name: str, messages: ByHost) -> ByHost:
        return _through_body(group, layout, step, "forward", pass_name, messages)

    def backward(pass_name: str, messages: ByHost) -> ByHost:
        return _through_body(group, layout, step, "backward", pass_name, messages)

    # D update: fakes and reals through D, and the gradients back.
    fakes = forward("generate", {host: handle.call("generate", step) for host, handle in hosts.items()})
    verdicts = forward("discriminate", clients("discriminate", fakes))
    discriminator_gradients = backward("discriminate", clients("judge", verdicts))
    # G update: the same fakes through the new D, and the gradients through D into G.
    verdicts = forward("fool", clients("update_discriminator", discriminator_gradients))
    image_gradients = backward("fool", clients("fool", verdicts))
    generator_gradients = backward("generate", clients("backpropagate", image_gradients))
    return Submitted(step, clients("update_generator", generator_gradients), group.body.call("report", step))


def _through_body(
    group: Group, layout: Layout, step: StepId, direction: str, pass_name: str, messages: ByHost
) -> dict[int, Reference]:
    """One pass through the body, stage by stage: hosts enter and leave where their cuts say."""
    stages = list(enumerate(layout.stages["generator" if pass_name == "generate" else "discriminator"]))
    received: dict[int, Reference] = {}
    for index, stage in stages if direction == "forward" else reversed(stages):
        entering, leaving = stage.entering, stage.leaving
        if direction == "backward":
            entering, leaving = leaving, entering
        sent = [messages.get(host, SET_ASIDE) for host in entering]
        out = group.body.call_many(direction, len(leaving), step, pass_name, index, sent)
        received.update(zip(leaving, out, strict=True))
    return received
