"""What the round code drives: handles on the roles, in this process or as Ray actors.

A call returns references. What a reference is belongs to the group: in process it is the value itself, Ray's
is an object reference. The round code only passes them on, and fetches the small records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from raygan.errors import InputError
from raygan.wire.records import Lost, StepId, Usage

Reference = Any


class Handle(Protocol):
    """One role."""

    name: str

    def call(self, method: str, *args: Any) -> Reference:
        """Calls a method that returns one record."""

    def call_many(self, method: str, num_returns: int, *args: Any) -> list[Reference]:
        """Calls a method that returns a list of `num_returns` records."""


class Group(Protocol):
    """All roles of a federation."""

    @property
    def workers(self) -> Mapping[int, Handle]:
        """Client workers by number."""

    @property
    def body(self) -> Handle:
        """The shared body."""

    @property
    def evaluator(self) -> Handle:
        """The evaluator."""

    def aggregators(self, count: int) -> Sequence[Handle]:
        """The aggregators of `count` clusters; those that are missing are started."""

    def restart_worker(self, worker: int) -> None:
        """A new client worker in the place of a lost one; it has lost its state, and is in `workers` once it joined."""

    def join(self, wait_s: float) -> Mapping[int, InputError | Lost | None]:
        """Takes those that were started again into `workers`.

        Args:
            wait_s: seconds to wait for them; who is not built by then may join later.

        Returns:
            Of those whose start has ended since the last call: None, or why they are not among the workers.
        """

    def restart_body(self) -> None:
        """A new body in the place of a lost one; it has lost its state."""

    def restart_evaluator(self) -> None:
        """A new evaluator in the place of a lost one."""

    def has_evaluator(self, wait_s: float) -> bool:
        """Whether the evaluator is there, once it was waited for so long."""

    def restart_aggregators(self) -> int:
        """New aggregators in the place of the lost ones; returns how many were lost."""

    def set_aside(self, worker: int) -> None:
        """Ends a client worker for good: it is no longer in `workers`."""

    def alive(self, handle: Any) -> bool:
        """Whether a role answers."""

    def begin_step(self, step: StepId, deadline_s: float) -> None:
        """Lets the body go on, in this step, without those whom it has waited for so long."""

    def fetch(self, references: Sequence[Reference], timeout_s: float | None = None) -> list[Any]:
        """The small records behind references, in order; `Lost` where one is late or its actor died.

        An actor that hangs is ended, so that every fetch returns.

        Args:
            timeout_s: seconds to wait for all of them; None: until each has come or its actor is gone.
        """

    def ready(self, reference: Reference) -> bool:
        """Whether a fetch would not wait."""

    def usage(self) -> Mapping[str, Usage]:
        """What each role but the evaluator has used so far, by its name; empty without actors."""

    def close(self) -> None:
        """Ends every role. Safe to call twice."""
