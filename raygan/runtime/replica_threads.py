"""Replicas of a server in one process: a thread each, which wait for each other where they exchange numbers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch
from torch import Tensor

from raygan.errors import PeerLostError
from raygan.parties.peers import Peers, in_order

T = TypeVar("T")


class ReplicaThreads:
    """So many threads, and what each replica sees of the others."""

    def __init__(self, num_replicas: int) -> None:
        self._barrier = threading.Barrier(num_replicas)
        slots = [torch.empty(0)] * num_replicas
        self.peers = [ThreadPeers(rank, slots, self._barrier) for rank in range(num_replicas)]
        self._pool = ThreadPoolExecutor(num_replicas) if num_replicas > 1 else None

    def run(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """What each replica's call returns; all run at the same time.

        Raises:
            Exception: the first that a call raised, other than that it lost the others over it.
        """
        if self._pool is None:
            return [call() for call in calls]
        futures = [self._pool.submit(self._run, call) for call in calls]
        errors = [error for future in futures if (error := future.exception()) is not None]
        for error in sorted(errors, key=lambda error: isinstance(error, PeerLostError)):
            raise error
        return [future.result() for future in futures]

    def _run(self, call: Callable[[], T]) -> T:
        try:
            with torch.autograd.set_multithreading_enabled(False):  # on a GPU one thread would go back for all replicas
                return call()
        except BaseException:
            self._barrier.abort()
            raise

    def close(self) -> None:
        """Ends the threads."""
        if self._pool is not None:
            self._pool.shutdown()


class ThreadPeers(Peers):
    """The replicas of one process."""

    def __init__(self, rank: int, slots: list[Tensor], barrier: threading.Barrier) -> None:
        super().__init__(rank, len(slots))
        self._slots, self._barrier = slots, barrier

    def _gathered(self, mine: Tensor) -> Tensor:
        return self._exchanged(mine, torch.stack)

    def _summed(self, mine: Tensor) -> Tensor:
        return self._exchanged(mine, in_order)

    def _exchanged(self, mine: Tensor, put_together: Callable[[list[Tensor]], Tensor]) -> Tensor:
        try:
            self._slots[self.rank] = mine
            self._barrier.wait()
            found = put_together(self._slots)
            self._barrier.wait()
        except threading.BrokenBarrierError:
            raise PeerLostError("another replica of the body has failed") from None
        return found
