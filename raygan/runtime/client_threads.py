"""The clients of a worker side by side: a process that has several cores computes several of them at a time, where
that is faster. The numbers are those of one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import torch

from raygan.names import Compute, in_turn

T = TypeVar("T")
TRIES = 4
"""Of each way, before the faster is known; the first of them does not count."""


class ClientThreads:
    """As many calls at a time as the process's cores have room for, each with the torch threads of who asks for it: the
    numbers are those of one call after the other.

    Args:
        cores: that the process may use.
    """

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._pool = ThreadPoolExecutor(cores, thread_name_prefix="clients")

    def __call__(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """What they return, in order; raises what the first to fail raised."""
        threads = torch.get_num_threads()
        places = self._cores // threads
        if places < 2 or len(calls) < 2:
            return [call() for call in calls]
        rows = [calls[place::places] for place in range(places)]
        done = list(self._pool.map(partial(_in_a_row, threads), rows))
        return [done[number % places][number // places] for number in range(len(calls))]

    def close(self) -> None:
        """Ends the threads."""
        self._pool.shutdown()


def _in_a_row(threads: int, calls: Sequence[Callable[[], T]]) -> list[T]:
    torch.set_num_threads(threads)  # each thread has a number of its own
    return [call() for call in calls]


class Faster:
    """Of two ways to compute the same, a method's faster one: small networks lose by threads of their own."""

    def __init__(self, other: Compute) -> None:
        self._ways = (in_turn, other)
        self._seconds: dict[str, tuple[list[float], ...]] = {}

    @contextmanager
    def way(self, method: str) -> Iterator[Compute]:
        """How to compute in a call of the method."""
        seconds = self._seconds.setdefault(method, tuple([] for _ in self._ways))
        tried = [len(of_way) for of_way in seconds]
        if min(tried) == TRIES:
            fastest = [min(of_way[1:]) for of_way in seconds]
            yield self._ways[fastest.index(min(fastest))]
            return
        way = tried.index(min(tried))
        started = time.perf_counter()
        yield self._ways[way]
        seconds[way].append(time.perf_counter() - started)
