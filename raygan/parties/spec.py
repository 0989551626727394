"""Which parties an algorithm needs: how each is made and what it asks of its node."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from raygan.parties.base import Party, Server, Worker
from raygan.parties.layout import Layout

PartyT_co = TypeVar("PartyT_co", bound=Party, covariant=True)


@dataclass(frozen=True)
class PartySpec(Generic[PartyT_co]):
    """One party to be started."""

    name: str
    """What a person reads in the dashboard."""
    make: Callable[..., PartyT_co]
    """Called in its own process, with the torch device; a worker's also with `again`: it replaces a lost one."""
    threads: int
    """Torch threads of its process."""
    resources: Mapping[str, float] = field(default_factory=dict)
    """Custom resources of its node, beside those of a worker's device profile."""
    pace: Mapping[str, float] = field(default_factory=dict)
    """Method -> seconds that a call takes on the emulated hardware; others take what they need."""


@dataclass(frozen=True)
class Parties:
    """All that the runtime starts for an algorithm, beside aggregators and the evaluator, which every run has."""

    layout: Layout[Any]
    workers: tuple[PartySpec[Worker], ...]
    """By number, as in the layout."""
    servers: tuple[PartySpec[Server], ...]
    """More than one: replicas of one server, or its sections."""
    num_aggregators: int
    """As many as are known to be needed; more are started when they are."""
    longest_call_s: float = 0.0
    """A call may take so long at least: emulated devices are slow on purpose."""
    replicated: bool = False
    """Whether several servers are replicas, which are told of each other."""
