"""Who is in a federation: every client with its data and device, and the workers that hold them.

A worker is one process with one or several clients of one profile.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

from raygan.data.shape import ClientSlice
from raygan.nn.spec import NetworkSpec


@dataclass(frozen=True)
class ClientPlan:
    """One client."""

    client: int
    domain: str
    profile: str
    data: ClientSlice


ClientT = TypeVar("ClientT", bound=ClientPlan)


@dataclass(frozen=True)
class WorkerPlan(Generic[ClientT]):
    """One worker."""

    worker: int
    clients: tuple[ClientT, ...]

    @property
    def profile(self) -> str:
        """The device profile of its clients."""
        return self.clients[0].profile

    @property
    def labels(self) -> dict[str, str]:
        """Labels of the nodes that hold its clients' data."""
        return self.clients[0].data.domain.labels

    @property
    def ids(self) -> tuple[int, ...]:
        """The numbers of its clients."""
        return tuple(plan.client for plan in self.clients)

    @property
    def name(self) -> str:
        """What a person reads in the dashboard, such as `client-07 jetson_nano`."""
        ids = self.ids
        shown = [f"{number:02d}" for number in ids]
        if len(ids) > 4:
            shown = [*shown[:2], f"...{ids[-1]:02d}"]
        return f"client{'s' if len(ids) > 1 else ''}-{','.join(shown)} {self.profile}"


@dataclass(frozen=True)
class Layout(Generic[ClientT]):
    """The whole federation, as far as every algorithm knows it."""

    workers: tuple[WorkerPlan[ClientT], ...]
    spec: NetworkSpec

    @cached_property
    def clients(self) -> tuple[ClientT, ...]:
        """All clients in the order of their numbers."""
        plans = (plan for worker in self.workers for plan in worker.clients)
        return tuple(sorted(plans, key=lambda plan: plan.client))

    @cached_property
    def ids(self) -> tuple[int, ...]:
        """The numbers of all clients, ascending: some are missing where clients have left."""
        return tuple(plan.client for plan in self.clients)

    @cached_property
    def domains(self) -> dict[int, int]:
        """Client -> index of its domain: for measurements and upper lines alone."""
        return {plan.client: plan.data.domain_index for plan in self.clients}

    @cached_property
    def worker_of(self) -> dict[int, int]:
        """Client -> its worker."""
        return {client: worker.worker for worker in self.workers for client in worker.ids}


def deal_to_workers(
    plans: Iterable[ClientT],
    clients_per_actor: int,
    alike: Callable[[ClientT], Hashable] = lambda plan: (),
) -> tuple[WorkerPlan[ClientT], ...]:
    """Deals clients to workers: those of equal site and profile together, at most `clients_per_actor` in one.

    Args:
        alike: what else the clients of a worker must have in common.
    """
    groups: dict[Hashable, list[ClientT]] = {}
    for plan in plans:
        site = tuple(sorted(plan.data.domain.labels.items()))
        groups.setdefault((site, plan.profile, alike(plan)), []).append(plan)
    parts = [
        tuple(group[start : start + clients_per_actor])
        for group in groups.values()
        for start in range(0, len(group), clients_per_actor)
    ]
    parts.sort(key=lambda part: part[0].client)
    return tuple(WorkerPlan(number, part) for number, part in enumerate(parts))
