"""The federation without Ray: the same plain classes in this process, called one after the other."""
# ruff: noqa: D102  # the methods of `Backend` have their docstrings there

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Generic, TypeVar, cast

import torch

from raygan.config.schema import Config
from raygan.errors import ConfigError
from raygan.names import Compute
from raygan.own_code import blaming
from raygan.parties.aggregator import ClusterAggregator
from raygan.parties.base import Party, Server, Worker
from raygan.parties.clients import HostedClients
from raygan.parties.evaluator import Evaluator
from raygan.parties.peers import Peers
from raygan.parties.spec import Parties, PartySpec
from raygan.runtime.backend import Handle, PartyT_co, Reference
from raygan.runtime.client_threads import ClientThreads, Faster
from raygan.runtime.replica_threads import ReplicaThreads
from raygan.simulation.device import pick_device
from raygan.wire.codec import CPU
from raygan.wire.contract import checked, enforce
from raygan.wire.records import (
    StepId,
    Usage,
)

T = TypeVar("T")
PartyT = TypeVar("PartyT", bound=Party)


class LocalHandle(Handle[PartyT_co], Generic[PartyT_co]):
    """Calls a plain object with the torch threads that its process would have."""

    def __init__(self, name: str, party: PartyT_co, threads: int, own: tuple[str, str | None] = ("", None)) -> None:
        self.name, self._party, self._threads, self._own = name, party, threads, own
        self._faster: Faster | None = None

    def join(self, peers: Peers) -> None:
        """Of a server that has replicas."""
        assert isinstance(self._party, Server)
        self._party.join(peers)

    def compute_with(self, compute: Compute) -> None:
        """Of a worker: it may compute its clients so, where that is faster."""
        self._faster = Faster(compute)

    def submit(self, method: str, count: int, arguments: Sequence[Any]) -> Sequence[Reference[Any]]:
        """The records themselves, checked as they would be on the wire."""
        torch.set_num_threads(self._threads)
        with blaming(self._own):
            returned = self._returned(method, partial(getattr(self._party, method), *arguments))
        enforce(self.name, method, self._party.problem(method, returned))
        records = returned if isinstance(returned, list) else [returned]
        assert len(records) == count, f"{self.name}.{method}: {len(records)} records, {count} expected"
        return [cast(Reference[Any], checked(record)) for record in records]

    def _returned(self, method: str, call: Callable[[], Any]) -> Any:
        if self._faster is None or not isinstance(self._party, HostedClients):
            return call()
        with self._faster.way(method) as self._party.compute:
            return call()


class InProcessBackend:
    """All parties in this process; its methods are those of `Backend`."""

    def __init__(self, parties: Parties, config: Config, make_evaluator: Callable[[], Evaluator]) -> None:
        self._threads_before = torch.get_num_threads()
        if config.devices.emulate:  # one process has no devices that work at the same time
            found = "true, but everything runs in one process"
            raise ConfigError("devices.emulate", found, "train with Ray, or set it to false")
        self._parties, self._config, self._own = parties, config, config.model.own_networks
        self._device = pick_device(config, "this process")
        self._client_threads = ClientThreads(self._threads_before)  # a trial of a search has fewer than the machine
        self.workers: dict[int, LocalHandle[Worker]] = {}
        self.servers: list[LocalHandle[Server]] = []
        self._replicas = ReplicaThreads(1)
        for worker in range(len(parties.workers)):
            self.restart_worker(worker)
        self.restart_servers()
        self._make_evaluator = make_evaluator
        self._evaluator: LocalHandle[Evaluator] | None = None
        self.started_aggregators: list[LocalHandle[ClusterAggregator]] = []

    @property
    def evaluator(self) -> LocalHandle[Evaluator]:
        """Built when it is first needed: it trains its classifiers."""
        if self._evaluator is None:
            torch.set_num_threads(self._threads_before)
            self._evaluator = LocalHandle("evaluator", self._make_evaluator(), self._threads_before, self._own)
        return self._evaluator

    def aggregators(self, count: int) -> list[LocalHandle[ClusterAggregator]]:
        while len(self.started_aggregators) < count:
            name = f"aggregator-{len(self.started_aggregators)}"
            aggregator = ClusterAggregator(self._config.clusters.aggregation)
            self.started_aggregators.append(LocalHandle(name, aggregator, 1))
        return self.started_aggregators[:count]

    def restart_worker(self, worker: int) -> None:
        self.workers[worker] = self._made(self._parties.workers[worker])
        if self._side_by_side:
            self.workers[worker].compute_with(self._client_threads)

    def restart_servers(self) -> None:
        self.servers = [self._made(spec) for spec in self._parties.servers]
        self._replicas.close()
        self._replicas = ReplicaThreads(len(self.servers) if self._parties.replicated else 1)
        if self._parties.replicated:
            for handle, peers in zip(self.servers, self._replicas.peers, strict=True):
                handle.join(peers)

    def lockstep(self, method: str, calls: Sequence[tuple[int, Sequence[Any]]]) -> Sequence[Sequence[Reference[Any]]]:
        pairs = zip(self.servers, calls, strict=True)
        return self._replicas.run([partial(server.submit, method, *call) for server, call in pairs])

    @property
    def _side_by_side(self) -> bool:
        """Whether a worker's clients may be computed at the same time, with the numbers of one after the other: a user's
        networks may draw from torch's one generator, and what makes DP-SGD's sums is not ours."""
        return self._device == CPU and self._own[1] is None and self._config.privacy.dp is None

    def _made(self, spec: PartySpec[PartyT]) -> LocalHandle[PartyT]:
        torch.set_num_threads(spec.threads)  # with which it may measure what it computes at once
        return LocalHandle(spec.name, spec.make(self._device), spec.threads, self._own)

    def join(self, wait_s: float) -> dict[int, None]:
        return {}  # a new worker is there at once

    def restart_evaluator(self) -> None:
        self._evaluator = None  # made when it is next needed

    def has_evaluator(self, wait_s: float) -> bool:
        return True

    def restart_aggregators(self) -> int:
        return 0

    def set_aside(self, worker: int) -> None:
        del self.workers[worker]

    def alive(self, handle: Handle[Party]) -> bool:
        return True  # they live and die with this process

    def begin_step(self, step: StepId, deadline_s: float) -> None:
        """Nothing: one after the other, so nobody is late."""

    def fetch(self, references: Sequence[Reference[T]], timeout_s: float | None = None) -> list[T]:
        return cast(list[T], list(references))  # they are the values

    def ready(self, reference: Reference[object]) -> bool:
        return True

    def usage(self, timeout_s: float | None = None) -> dict[str, Usage]:
        return {}  # they share one process

    def close(self) -> None:
        self._replicas.close()
        self._client_threads.close()
        torch.set_num_threads(self._threads_before)
