"""What one sender may put on the wire: each method's record, and the form of every tensor in it.

`raygan.wire.contract.checked` knows what crosses at all. Here the cuts come in: a client's `generate` returns the
activation of the last block of its G head, of that block's shape and no other, so an image or a label that was
dressed up as a float activation is refused by the sender's actor before it leaves, and again by the body.
Where an activation has exactly the shape of an image, no form can tell them apart.

A tensor's batch axis is not in `Shape`. Nothing is computed on the entries.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

from raygan.names import NETWORKS, End, NetworkName, Shape
from raygan.split.layout import ClientPlan, Layout, WorkerPlan
from raygan.step import PHASES, Crossing
from raygan.wire.records import MESSAGES, Activations, Gradients, Lost, State, WirePart, shape_of


class Contract:
    """The forms that a federation's cuts allow."""

    def __init__(self, layout: Layout, batch_size: int) -> None:
        self._layout, self._batch_size = layout, batch_size
        self._shapes: Mapping[tuple[int, NetworkName, End], Mapping[int, Shape]] = {
            (worker.worker, network, end): {plan.client: self._shape(plan, network, end) for plan in worker.clients}
            for worker in layout.workers
            for network in NETWORKS
            for end in get_args(End)
        }
        """Worker, network and end of a client -> client -> the shape that crosses there."""

    def client_problem(self, worker: int, method: str, records: object) -> str | None:
        """Why a client actor may not send what a method returned; None: it may."""
        plan = self._layout.workers[worker]
        crossing = PHASES[method].sends if method in PHASES else None
        if crossing is not None:
            return self._message_problem(plan, crossing, crossing.sent_from, records)
        if method == "state":
            return self._states_problem(plan, records)
        return None

    def arrival_problem(self, worker: int, crossing: Crossing, record: object) -> str | None:
        """Why the body may not take what a worker sent into a pass; None: it may."""
        return self._message_problem(self._layout.workers[worker], crossing, crossing.sent_from, record)

    def departure_problem(self, worker: int, crossing: Crossing, record: object) -> str | None:
        """Why the body may not send a worker what leaves a pass: another worker's clients, or another form."""
        return self._message_problem(self._layout.workers[worker], crossing, crossing.received_at, record)

    def _message_problem(self, worker: WorkerPlan, crossing: Crossing, end: End, record: object) -> str | None:
        """Why a message may not cross.

        Args:
            end: the client's, at which the message begins or arrives.
        """
        if isinstance(record, Lost):
            return None
        needed = MESSAGES[crossing.direction]
        if not isinstance(record, (Activations, Gradients)) or not isinstance(record, needed):
            return f"a {type(record).__name__} where {needed.__name__} belong"
        shapes = self._shapes[worker.worker, crossing.way.network, end]
        for client, parts in record.arrays.items():
            if client not in shapes:
                return f"client {client} is not one of {', '.join(map(str, shapes))}"
            if len(parts) != crossing.num_tensors:
                return f"{len(parts)} tensors of client {client}, not {crossing.num_tensors}"
            for part in parts:
                if (problem := self._part_problem(part, shapes[client])) is not None:
                    return f"client {client}: {problem}"
        return None

    def _part_problem(self, part: WirePart, shape: Shape) -> str | None:
        found = shape_of(part)
        if found[1:] == shape and 0 < found[0] <= self._batch_size:
            return None
        return f"a tensor of shape {found} at a cut where (at most {self._batch_size}, {str(shape)[1:-1]}) crosses"

    def _shape(self, plan: ClientPlan, network: NetworkName, end: End) -> Shape:
        head, tail = plan.cut(network)
        count = self._layout.num_blocks[network]
        return self._layout.output_shapes[network][head if end == "head" else count - 2 - tail]

    def _states_problem(self, worker: WorkerPlan, records: object) -> str | None:
        if not isinstance(records, list) or len(records) != len(worker.clients):
            return "one state for each client belongs here"
        pairs = zip(worker.clients, records, strict=True)
        return next(filter(None, (self._state_problem(plan, state) for plan, state in pairs)), None)

    def _state_problem(self, plan: ClientPlan, state: object) -> str | None:
        if not isinstance(state, State):
            return f"a {type(state).__name__} where State belongs"
        held = self._layout.held_blocks(plan)
        if set(state.blocks) != set(held):
            return f"client {plan.client}: blocks {sorted(state.blocks)}, not {sorted(held)}"
        for key in held:
            shapes = {name: array.shape for name, array in state.blocks[key].items()}
            if shapes != self._layout.state_shapes[key]:
                return f"client {plan.client}, {key[0]} block {key[1]}: not this block's parameters"
        return None
