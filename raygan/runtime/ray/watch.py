"""Finds the actors that hang: every wait of the driver ends because of it.

An actor runs its calls one at a time and in order. Its first call that has not ended either waits for a
record that another actor's call has yet to produce, or has all that it needs. In the second case the actor
works; when it does so for longer than its limit, it hangs. Every call returns a receipt beside its records:
holding it, unlike holding a record, keeps nothing in the object store.
"""

from __future__ import annotations

import statistics
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import ray

from raygan.runtime.limits import LIMITS

REMEMBERED = 20


@dataclass
class Call:
    """A call under way."""

    method: str
    receipt: ray.ObjectRef[None]
    needs: Sequence[ray.ObjectRef[None]]
    """Receipts of the calls whose records it takes."""
    results: Sequence[bytes]
    """Ids of its records."""


@dataclass
class Watched:
    """The calls of one actor that are not known to have ended, oldest first."""

    name: str
    limit_s: Callable[[str], float]
    """Method -> seconds that a call may take once it has all that it needs."""
    calls: deque[Call] = field(default_factory=deque)
    working_on: Call | None = None
    since_s: float = 0.0
    ended_because: str | None = None
    """Why it was ended, if it was."""


class Watch:
    """The calls of all actors."""

    def __init__(self) -> None:
        self._actors: list[Watched] = []
        self._producer: dict[bytes, tuple[Watched, Call]] = {}
        self._seconds: dict[str, deque[float]] = {}

    def add(self, actor: Watched) -> None:
        """Begins to watch an actor."""
        self._actors.append(actor)

    def forget(self, actor: Watched) -> None:
        """Ends watching it."""
        if actor in self._actors:
            self._actors.remove(actor)
        while actor.calls:
            self._drop_first(actor)

    def submitted(
        self,
        actor: Watched,
        method: str,
        receipt: ray.ObjectRef[None],
        arguments: Iterable[ray.ObjectRef[Any]],
        results: Iterable[ray.ObjectRef[Any]],
    ) -> None:
        """Notes a call."""
        producers = (self._producer.get(reference.binary()) for reference in arguments)
        needs = dict.fromkeys(found[1].receipt for found in producers if found is not None)
        call = Call(method, receipt, list(needs), [reference.binary() for reference in results])
        actor.calls.append(call)
        for result in call.results:
            self._producer[result] = (actor, call)

    def ended(self, references: Iterable[ray.ObjectRef[Any]]) -> None:
        """Notes that these records are there: their calls, and all before them in the same actors, have ended."""
        for reference in references:
            found = self._producer.get(reference.binary())
            if found is not None:
                actor, call = found
                while call.results and call.results[0] in self._producer:
                    self._drop_first(actor)

    def producer(self, reference: ray.ObjectRef[Any]) -> Watched | None:
        """The actor that makes a record, if it is not known to have ended the call."""
        found = self._producer.get(reference.binary())
        return found[0] if found else None

    def hanging(self) -> list[tuple[Watched, str]]:
        """Actors that have worked on one call for too long, with what to say about it."""
        now = time.monotonic()
        found = []
        for actor in self._actors:
            call = self._first_unfinished(actor, now)
            if call is None or not _are_there(call.needs):
                actor.working_on = None
            elif actor.working_on is not call:
                actor.working_on, actor.since_s = call, now
            elif now - actor.since_s > (limit_s := self._limit_s(actor, call.method)):
                found.append((actor, f"hung: {call.method} took longer than {limit_s:g} s"))
        return found

    def _limit_s(self, actor: Watched, method: str) -> float:
        seen = self._seconds.get(method)
        return max(actor.limit_s(method), LIMITS.slack * statistics.median(seen) if seen else 0.0)

    def _first_unfinished(self, actor: Watched, now: float) -> Call | None:
        while actor.calls:
            call = actor.calls[0]
            if not _are_there([call.receipt]):
                return call
            if actor.working_on is call:
                self._seconds.setdefault(call.method, deque(maxlen=REMEMBERED)).append(now - actor.since_s)
            self._drop_first(actor)
        return None

    def _drop_first(self, actor: Watched) -> None:
        for result in actor.calls.popleft().results:
            self._producer.pop(result, None)


def _are_there(references: Sequence[ray.ObjectRef[None]]) -> bool:
    waited_for = list(references)
    if not waited_for:
        return True
    return not ray.wait(waited_for, num_returns=len(waited_for), timeout=0, fetch_local=False)[1]
