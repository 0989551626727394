"""How replicas of one server exchange numbers.

Each of them calls the same methods in the same order: a call returns when the others have come to it.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

from torch import Tensor


class Peers(ABC):
    """The replicas of a server, as one of them sees them.

    Args:
        rank: this one's number, from 0.
        size: how many there are.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.rank, self.size = rank, size
        self.sent_bytes = 0
        """What this one has sent to others so far."""
        self.waited_s = 0.0
        """Seconds that its calls have taken so far: mostly, others were not there yet."""

    def gather(self, mine: Tensor) -> Tensor:
        """This one's numbers (n,) -> those of all (size, n), in the order of their ranks.

        Raises:
            PeerLostError: another replica is gone.
        """
        self.sent_bytes += (self.size - 1) * mine.nbytes
        return self._timed(self._gathered, mine)

    def total(self, mine: Tensor) -> Tensor:
        """Numbers (n,) -> their sum over all (n,), added in the order of the ranks: equal everywhere bit for bit.

        Raises:
            PeerLostError: another replica is gone.
        """
        self.sent_bytes += 2 * (self.size - 1) * self.piece(len(mine)) * mine.element_size()
        return self._timed(self._summed, mine)

    def piece(self, length: int) -> int:
        """Numbers that one replica adds up for all, of so many: it is sent the others', and sends them the sums."""
        return -(-length // self.size)

    def _timed(self, exchange: Callable[[Tensor], Tensor], mine: Tensor) -> Tensor:
        started = time.perf_counter()
        try:
            return exchange(mine)
        finally:
            self.waited_s += time.perf_counter() - started

    @abstractmethod
    def _gathered(self, mine: Tensor) -> Tensor:
        """As `gather`."""

    @abstractmethod
    def _summed(self, mine: Tensor) -> Tensor:
        """As `total`."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Peers:
        return self  # copies of what a replica holds are with the same others


def in_order(parts: Tensor | list[Tensor]) -> Tensor:
    """The sum of at least one, the first two first."""
    first, *others = parts
    total: Tensor = first.clone()
    for part in others:
        total += part
    return total
