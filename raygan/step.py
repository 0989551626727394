"""The split step as a table (arXiv 2507.12979): a D update and a G update of all participating clients.

A step is a row of client phases. Each ends by sending a message into a pass through the server's body, and the next
phase begins with what comes out of that pass:

    phase                 begins with          computes on the client                             sends into
    generate              (nothing)            z and labels through G's head                      generate forward
    discriminate          fakes' activations   G's tail; D's head on fakes and on reals           discriminate forward
    discriminator_loss    activations          D's tail, BCE(fake, 0) + BCE(real, 1), and back    discriminate backward
    update_discriminator  gradients            back through D's head, D's update; D's head again  adversarial forward
    generator_loss        activations          D's tail, BCE(fake, 1), and back                   adversarial backward
    backpropagate         gradients            back through D's head, the fakes and G's tail      generate backward
    update_generator      gradients            back through G's head, G's update                  (nothing)

The pass `adversarial` trains G through D: gradients go through D's blocks, and D's weights get none.

Everything that has to know the order, the networks or the number of tensors reads it here: submission, the actors'
methods, the contract of what crosses, the body's passes, emulated devices, the planner's number of passes and their
overlap, the report's names.
"""

from __future__ import annotations

from dataclasses import dataclass

from raygan.names import Direction, End, NetworkName


@dataclass(frozen=True)
class Pass:
    """One way through the body, forward and back."""

    name: str
    network: NetworkName
    batches: tuple[str, ...]
    """Merged batches that travel together but apart: each has its own BatchNorm statistics."""
    body_trains: bool
    """Whether the body's weights get gradients, and step at the end of the backward pass."""


PASSES = {
    one.name: one
    for one in (
        Pass("generate", "generator", ("fake",), body_trains=True),
        Pass("discriminate", "discriminator", ("fake", "real"), body_trains=True),
        Pass("adversarial", "discriminator", ("fake",), body_trains=False),
    )
}


@dataclass(frozen=True)
class Crossing:
    """What clients send into a pass through the body, or receive from it."""

    pass_name: str
    direction: Direction

    def __str__(self) -> str:
        return f"{self.pass_name} {self.direction}"

    @property
    def way(self) -> Pass:
        """The pass."""
        return PASSES[self.pass_name]

    @property
    def num_tensors(self) -> int:
        """Tensors of a client, one a batch."""
        return len(self.way.batches)

    @property
    def sent_from(self) -> End:
        """The client's end at which the message begins: forward behind its head, backward before its tail."""
        return "head" if self.direction == "forward" else "tail"

    @property
    def received_at(self) -> End:
        """The client's end at which it arrives."""
        return "tail" if self.direction == "forward" else "head"


@dataclass(frozen=True)
class Phase:
    """A client's part of a step between two messages."""

    name: str
    """The actor's method."""
    words: str
    """What it does, for people."""
    sends: Crossing | None
    """None: nothing, the step is over."""


STEP = (
    Phase("generate", "generate fakes", Crossing("generate", "forward")),
    Phase("discriminate", "discriminate fakes and reals", Crossing("discriminate", "forward")),
    Phase("discriminator_loss", "discriminator's loss", Crossing("discriminate", "backward")),
    Phase("update_discriminator", "update the discriminator", Crossing("adversarial", "forward")),
    Phase("generator_loss", "generator's loss", Crossing("adversarial", "backward")),
    Phase("backpropagate", "backward through the discriminator", Crossing("generate", "backward")),
    Phase("update_generator", "update the generator", None),
)
PHASES = {phase.name: phase for phase in STEP}
CROSSINGS = tuple(phase.sends for phase in STEP if phase.sends is not None)
"""In the order of a step."""


def num_passes(network: NetworkName) -> int:
    """Passes of a minibatch through a network in a step, each forward and back."""
    return sum(len(way.batches) for way in PASSES.values() if way.network == network)


def live_passes(network: NetworkName) -> int:
    """The most passes of a network whose activations a client keeps at the same time."""
    return max(len(way.batches) for way in PASSES.values() if way.network == network)
