"""What one sender may put on the wire: each method's record, and the form of every tensor in it.

`raygan.wire.records.checked` knows what crosses at all. Here the cuts come in: a client's `generate` returns the
activation of the last block of its G head, of that block's shape and no other, so an image or a label that was
dressed up as a float activation is refused by the sender's actor before it leaves, and again by the body.
Where an activation has exactly the shape of an image, no form can tell them apart.

A tensor's batch axis is not in `Shape`. Nothing is computed on the entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raygan.errors import WireError
from raygan.split.layout import ClientPlan, Layout, WorkerPlan
from raygan.wire.records import Activations, Encoded, Gradients, Lost, NetworkName, Shape, State, WirePart


@dataclass(frozen=True)
class Turn:
    """What a client sends at the end of one of its turns in a step."""

    record: type
    network: NetworkName
    end: str
    """`head`: the output of its head; `tail`: the input of its tail."""
    num_tensors: int = 1


TURNS: Mapping[str, Turn] = {
    "generate": Turn(Activations, "generator", "head"),
    "discriminate": Turn(Activations, "discriminator", "head", 2),
    "judge": Turn(Gradients, "discriminator", "tail", 2),
    "update_discriminator": Turn(Activations, "discriminator", "head"),
    "fool": Turn(Gradients, "discriminator", "tail"),
    "backpropagate": Turn(Gradients, "generator", "tail"),
}
PASS_TURNS: Mapping[tuple[str, str], str] = {
    ("generate", "forward"): "generate",
    ("discriminate", "forward"): "discriminate",
    ("discriminate", "backward"): "judge",
    ("fool", "forward"): "update_discriminator",
    ("fool", "backward"): "fool",
    ("generate", "backward"): "backpropagate",
}
"""The turn whose records enter each pass through the body; what leaves it has the form of the other end."""
OPPOSITE = {"head": "tail", "tail": "head"}


class Contract:
    """The forms that a federation's cuts allow."""

    def __init__(self, layout: Layout, batch_size: int) -> None:
        self._layout, self._batch_size = layout, batch_size

    def client_problem(self, worker: int, method: str, records: Any) -> str | None:
        """Why a client actor may not send what a method returned; None: it may."""
        plan = self._layout.workers[worker]
        if method in TURNS:
            return self._turn_problem(plan, TURNS[method], TURNS[method].end, records)
        if method == "state":
            return self._states_problem(plan, records)
        return None

    def arrival_problem(self, worker: int, pass_name: str, direction: str, record: Any) -> str | None:
        """Why the body may not take what a worker sent into a pass; None: it may."""
        turn = TURNS[PASS_TURNS[pass_name, direction]]
        return self._turn_problem(self._layout.workers[worker], turn, turn.end, record)

    def departure_problem(self, worker: int, pass_name: str, direction: str, record: Any) -> str | None:
        """Why the body may not send a worker what leaves a pass: another worker's clients, or another form."""
        turn = TURNS[PASS_TURNS[pass_name, direction]]
        return self._turn_problem(self._layout.workers[worker], turn, OPPOSITE[turn.end], record)

    def _turn_problem(self, worker: WorkerPlan, turn: Turn, end: str, record: Any) -> str | None:
        if isinstance(record, Lost):
            return None
        if not isinstance(record, (Activations, Gradients)) or not isinstance(record, turn.record):
            return f"a {type(record).__name__} where {turn.record.__name__} belong"
        plans = {plan.client: plan for plan in worker.clients}
        for client, parts in record.arrays.items():
            if client not in plans:
                return f"client {client} is not one of {', '.join(map(str, plans))}"
            if len(parts) != turn.num_tensors:
                return f"{len(parts)} tensors of client {client}, not {turn.num_tensors}"
            shape = self._shape(plans[client], turn.network, end)
            problem = next(filter(None, (self._part_problem(part, shape) for part in parts)), None)
            if problem is not None:
                return f"client {client}: {problem}"
        return None

    def _part_problem(self, part: WirePart, shape: Shape | None) -> str | None:
        found = (part.payload if isinstance(part, Encoded) else part).shape
        if shape is None or (found[1:] == shape and 0 < found[0] <= self._batch_size):
            return None
        return f"a tensor of shape {found} at a cut where (at most {self._batch_size}, {str(shape)[1:-1]}) crosses"

    def _shape(self, plan: ClientPlan, network: NetworkName, end: str) -> Shape | None:
        head, tail = plan.cut(network)
        count = self._layout.num_blocks[network]
        return self._layout.output_shape(network, head if end == "head" else count - 2 - tail)

    def _states_problem(self, worker: WorkerPlan, records: Any) -> str | None:
        if not isinstance(records, list) or len(records) != len(worker.clients):
            return "one state for each client belongs here"
        pairs = zip(worker.clients, records, strict=True)
        return next(filter(None, (self._state_problem(plan, state) for plan, state in pairs)), None)

    def _state_problem(self, plan: ClientPlan, state: Any) -> str | None:
        if not isinstance(state, State):
            return f"a {type(state).__name__} where State belongs"
        held = self._layout.held_blocks(plan)
        if set(state.blocks) != set(held):
            return f"client {plan.client}: blocks {sorted(state.blocks)}, not {sorted(held)}"
        for key in held:
            shapes = {name: array.shape for name, array in state.blocks[key].items()}
            needed = self._layout.state_shapes.get(key, shapes)
            if shapes != needed:
                return f"client {plan.client}, {key[0]} block {key[1]}: not this block's parameters"
        return None


def enforce(name: str, method: str, problem: str | None) -> None:
    """Lets what has no problem go.

    Raises:
        WireError: naming sender, method and what is wrong.
    """
    if problem is not None:
        raise WireError(f"{name}, {method}: {problem}; it was not sent")
