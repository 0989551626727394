"""Who is in a run: every client's number, its domain, and its place when the domain's images were dealt.

Clients are numbered through the domains in order. Who joins a run that goes on gets the next number, whatever its domain,
so that nobody's number changes; a number is never given twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache


@dataclass(frozen=True)
class Member:
    """One client, whether it is there or has left."""

    client: int
    """Its number."""
    domain: int
    """Index of its domain."""
    dealt_before: tuple[int, ...]
    """Clients of the domain that joined earlier, by the time at which they did: images were dealt to them first."""
    dealt_with: int
    """Clients of the domain that joined when it did, itself included."""
    place: int
    """Its own among these, from 0."""
    after_round: int
    """Rounds that were done when it joined."""

    @property
    def place_in_domain(self) -> int:
        """Its place among all clients that its domain ever had."""
        return sum(self.dealt_before) + self.place


def begun_with(clients: Sequence[int], joined: Sequence[tuple[int, int, int]]) -> list[int]:
    """Clients of each domain when the run began.

    Args:
        clients: of each domain, all that there ever were.
        joined: (domain, clients, after_round) of those that joined later, in the order in which they did.
    """
    found = list(clients)
    for domain, count, _ in joined:
        found[domain] -= count
    return found


@lru_cache(maxsize=64)
def numbered(clients: tuple[int, ...], joined: tuple[tuple[int, int, int], ...]) -> tuple[Member, ...]:
    """All clients that there ever were, by number; arguments as `begun_with`."""
    deals: list[list[int]] = [[] for _ in clients]
    found: list[Member] = []
    first = ((domain, count, 0) for domain, count in enumerate(begun_with(clients, joined)) if count)
    for domain, count, after_round in (*first, *joined):
        before = tuple(deals[domain])
        for place in range(count):
            found.append(Member(len(found), domain, before, count, place, after_round))
        deals[domain].append(count)
    return tuple(found)
