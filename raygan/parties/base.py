"""What the engine asks of any algorithm's parties: workers that hold clients, and servers that hold state for them.

Plain classes that know no Ray: the runtime calls them in this process or wraps them as actors. What an algorithm calls
beside these methods is its own.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, ClassVar

from raygan.wire.contract import LISTED
from raygan.wire.records import (
    CheckIn,
    Inventory,
    Spending,
    Traffic,
    Written,
)

if TYPE_CHECKING:
    from raygan.parties.peers import Peers


class Party:
    """One party."""

    merges: ClassVar[frozenset[str]] = frozenset()
    """Methods that take a mapping from workers to messages and go on without those that are late: the runtime gathers
    the messages up to the step's deadline, and puts `Lost` where one is missing."""
    streams: ClassVar[frozenset[str]] = frozenset()
    """Methods that take, as their last argument, any number of large records one after the other."""

    def problem(self, method: str, records: object) -> str | None:
        """Why it may not send what a method returned, beside what the wire refuses of anybody; None: it may."""
        return None

    def traffic(self) -> Traffic:
        """What it has counted since the round began."""
        return Traffic(())


class Worker(Party, ABC):
    """One or several clients on one device."""

    sends: ClassVar[frozenset[type]] = frozenset()
    """Records with arrays, or counts of classes, that may leave its clients; of the others, only small ones do."""

    @property
    def allowed(self) -> frozenset[type]:
        """Those of them that this run's configuration lets out."""
        return self.sends

    def problem(self, method: str, records: object) -> str | None:
        """Why it may not send what a method returned: what must be one of those that are `allowed`, and is none."""
        for record in records if isinstance(records, list) else [records]:
            if isinstance(record, LISTED) and type(record) not in self.allowed:
                return f"a {type(record).__name__} is nothing that leaves a client here"
        return None

    @abstractmethod
    def inventory(self) -> list[Inventory]:
        """What each client holds: counts only."""

    @abstractmethod
    def begin_round(self, round_number: int, clients: Collection[int] | None = None) -> None:
        """Prepares the minibatches of a round (from 0).

        Args:
            clients: those of the federation that take part in it; None: all.
        """

    @abstractmethod
    def check_in(self) -> CheckIn:
        """At a round's end: the clients whose numbers can be used, and what is wrong with the others."""

    def spending(self) -> list[Spending]:
        """What each client has spent of its privacy budget; of clients without one nothing."""
        return []

    def account(self, updates: Mapping[int, int]) -> None:
        """Clients have made at least so many noised updates: the engine knows of more than the file of one that was lost.

        Args:
            updates: by client, of any worker.
        """

    @abstractmethod
    def save(self, folder: str) -> Written:
        """Writes its clients' states into a checkpoint's folder, as one file."""

    @abstractmethod
    def restore(self, folder: str, sources: Mapping[int, str]) -> None:
        """The inverse of `save`.

        Args:
            sources: each of its clients -> the file with its state, whichever worker wrote it, or else with the model
                that it takes over; empty: it begins anew.
        """


class Server(Party, ABC):
    """A party that holds state for all clients: a run that loses it goes back to its last checkpoint.

    There may be several of one: replicas, which hold the same state and work in lockstep, each for its own workers; or
    sections, which hold a part of the state each.
    """

    def join(self, peers: Peers) -> None:
        """Told once, before anything else, where there are replicas."""
        raise NotImplementedError(f"{type(self).__name__} has no replicas")

    @abstractmethod
    def begin_round(self, round_number: int) -> None:
        """Forgets what belongs to the round before."""

    @abstractmethod
    def save(self, folder: str) -> Written | None:
        """Writes its file into a checkpoint's folder; of replicas, the first does it for all."""

    @abstractmethod
    def restore(self, folder: str, serves: Mapping[int, int]) -> None:
        """The inverse of `save`.

        Args:
            serves: client -> its model, of all clients that are there: others than those of the save may be.
        """


def clients_file(first: int) -> str:
    """Name of what a worker saves in a checkpoint.

    Args:
        first: of its clients.
    """
    return f"clients-{first:04d}.safetensors"


def client_file(client: int) -> str:
    """Name of what a client had in older checkpoints: a file of its own."""
    return f"client-{client:04d}.safetensors"
