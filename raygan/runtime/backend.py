"""What drives a federation: typed handles on its parties, in this process or as Ray actors.

A call names the party's own method, so that a misspelt method or a wrong argument fails the type check:

    handle.call(SplitClients.discriminate, step, message)

It returns a reference. What a reference is belongs to the backend: in process it is the value itself, on Ray an object
reference. It is passed on as another call's argument, or, of small records, fetched.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast, overload

from raygan.errors import InputError
from raygan.parties.aggregator import ClusterAggregator
from raygan.parties.base import Party, Server, Worker
from raygan.runtime.limits import LIMITS
from raygan.wire.records import Lost, StepId, Usage

if TYPE_CHECKING:
    from raygan.parties.evaluator import Evaluator

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
K = TypeVar("K")
A = TypeVar("A")
B = TypeVar("B")
C = TypeVar("C")
D = TypeVar("D")
PartyT_co = TypeVar("PartyT_co", bound=Party, covariant=True)


class Reference(Generic[T_co]):
    """What a call returns, for the type checker: no object has this class."""


def together(references: Sequence[Reference[T]]) -> Reference[Sequence[T]]:
    """Several references as one argument."""
    return cast(Reference[Sequence[T]], references)


def by_key(references: Mapping[K, Reference[T]]) -> Reference[Mapping[K, T]]:
    """References by key, such as messages by worker, as one argument."""
    return cast(Reference[Mapping[K, T]], references)


class Handle(ABC, Generic[PartyT_co]):
    """One party."""

    name: str

    @overload
    def call(self, method: Callable[[PartyT_co], T], /) -> Reference[T]: ...
    @overload
    def call(self, method: Callable[[PartyT_co, A], T], a: A | Reference[A], /) -> Reference[T]: ...
    @overload
    def call(
        self, method: Callable[[PartyT_co, A, B], T], a: A | Reference[A], b: B | Reference[B], /
    ) -> Reference[T]: ...
    @overload
    def call(
        self,
        method: Callable[[PartyT_co, A, B, C], T],
        a: A | Reference[A],
        b: B | Reference[B],
        c: C | Reference[C],
        /,
    ) -> Reference[T]: ...
    def call(self, method: Callable[..., Any], /, *arguments: Any) -> Any:
        """Calls a method that returns one record."""
        return self.submit(method.__name__, 1, arguments)[0]

    @overload
    def call_many(self, count: int, method: Callable[[PartyT_co], Sequence[T]], /) -> Sequence[Reference[T]]: ...
    @overload
    def call_many(
        self, count: int, method: Callable[[PartyT_co, A], Sequence[T]], a: A | Reference[A], /
    ) -> Sequence[Reference[T]]: ...
    @overload
    def call_many(
        self, count: int, method: Callable[[PartyT_co, A, B], Sequence[T]], a: A | Reference[A], b: B | Reference[B], /
    ) -> Sequence[Reference[T]]: ...
    @overload
    def call_many(
        self,
        count: int,
        method: Callable[[PartyT_co, A, B, C], Sequence[T]],
        a: A | Reference[A],
        b: B | Reference[B],
        c: C | Reference[C],
        /,
    ) -> Sequence[Reference[T]]: ...
    @overload
    def call_many(
        self,
        count: int,
        method: Callable[[PartyT_co, A, B, C, D], Sequence[T]],
        a: A | Reference[A],
        b: B | Reference[B],
        c: C | Reference[C],
        d: D | Reference[D],
        /,
    ) -> Sequence[Reference[T]]: ...
    def call_many(self, count: int, method: Callable[..., Any], /, *arguments: Any) -> Any:
        """Calls a method that returns `count` records."""
        return self.submit(method.__name__, count, arguments)

    @abstractmethod
    def submit(self, method: str, count: int, arguments: Sequence[Any]) -> Sequence[Reference[Any]]:
        """Calls a method by name: one reference a record. A list that it returns is of `count` records."""


class Backend(Protocol):
    """All parties of a federation, and the means to replace them."""

    @property
    def workers(self) -> Mapping[int, Handle[Worker]]:
        """By number; those that are lost or have not joined yet are missing."""

    @property
    def servers(self) -> Sequence[Handle[Server]]:
        """As the algorithm listed them: one, or replicas or sections of one."""

    def lockstep(self, method: str, calls: Sequence[tuple[int, Sequence[Any]]]) -> Sequence[Sequence[Reference[Any]]]:
        """Calls a method by name of every server, which may wait for each other in it.

        Args:
            calls: of each server, as many records as it returns, and its arguments.
        """

    @property
    def evaluator(self) -> Handle[Evaluator]:
        """The evaluator."""

    @property
    def started_aggregators(self) -> Sequence[Handle[ClusterAggregator]]:
        """All that have been started."""

    def aggregators(self, count: int) -> Sequence[Handle[ClusterAggregator]]:
        """So many aggregators; those that are missing are started."""

    def restart_worker(self, worker: int) -> None:
        """A new worker in the place of a lost one; it has lost its state, and is in `workers` once it joined."""

    def join(self, wait_s: float) -> Mapping[int, InputError | Lost | None]:
        """Takes those that were started again into `workers`.

        Args:
            wait_s: seconds to wait for them; who is not built by then may join later.

        Returns:
            Of those whose start has ended since the last call: None, or why they are not among the workers.
        """

    def restart_servers(self) -> None:
        """New servers in the place of the old ones; they have lost their state."""

    def restart_evaluator(self) -> None:
        """A new evaluator in the place of a lost one."""

    def has_evaluator(self, wait_s: float) -> bool:
        """Whether the evaluator is there, once it was waited for so long."""

    def restart_aggregators(self) -> int:
        """New aggregators in the place of the lost ones; returns how many were lost."""

    def set_aside(self, worker: int) -> None:
        """Ends a worker for good: it is no longer in `workers`."""

    def alive(self, handle: Handle[Party]) -> bool:
        """Whether a party answers."""

    def begin_step(self, step: StepId, deadline_s: float) -> None:
        """Lets the servers go on, in this step, without those whom they have waited for so long."""

    def fetch(self, references: Sequence[Reference[T]], timeout_s: float | None = None) -> list[T | Lost]:
        """The small records behind references, in order; `Lost` where one is late or its party died.

        A party that hangs is ended, so that every fetch returns.

        Args:
            timeout_s: seconds to wait for all of them; None: until each has come or its party is gone.
        """

    def ready(self, reference: Reference[object]) -> bool:
        """Whether a fetch would not wait."""

    def usage(self, timeout_s: float | None = LIMITS.usage_s) -> Mapping[str, Usage]:
        """What each party but the evaluator has used so far, by its name; empty without processes of their own.

        Args:
            timeout_s: those that have not answered by then are left out; None: all are waited for.
        """

    def close(self) -> None:
        """Ends every party. Safe to call twice."""
