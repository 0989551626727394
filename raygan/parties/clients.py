"""A worker's clients, as far as every algorithm's are alike: their data, who can be used, and what they save."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np

from raygan.config.privacy import PrivacyConfig
from raygan.errors import PolicyError
from raygan.names import Compute, in_turn
from raygan.packed import read_packed, write_packed
from raygan.parties.base import Worker, client_file, clients_file
from raygan.parties.data_owner import DataOwner
from raygan.secure import check_installed
from raygan.storage import read_arrays
from raygan.wire.records import CheckIn, Inventory, Lost, Spending, Traffic, Written
from raygan.wire.traffic import TrafficCounter

PACKED = clients_file(0).partition("-")[0] + "-"
"""How the names of files with several clients' states begin."""
NO_PRIVACY = PrivacyConfig()


class HostedClient(Protocol):
    """One client."""

    owner: DataOwner

    def begin_round(self, round_number: int) -> None:
        """Prepares what is its own beside its data."""

    def is_finite(self) -> bool:
        """Whether all its parameters and buffers are finite."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Everything that it needs to go on: what it holds of the networks, and its optimizers' states."""

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """The inverse of `arrays`."""

    def take_over(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Loads what it holds from a model's networks, `network.block.name`; its optimizers begin anew."""


HostedT = TypeVar("HostedT", bound=HostedClient)


class HostedClients(Worker, Generic[HostedT]):
    """One or several clients on one device.

    Args:
        clients: by number.

    Raises:
        ConfigError: what the run's privacy needs is not installed here.
    """

    compute: Compute = staticmethod(in_turn)
    """How it makes its clients' parts of a step."""

    def __init__(self, clients: Mapping[int, HostedT], privacy: PrivacyConfig = NO_PRIVACY) -> None:
        check_installed(privacy)
        self._clients, self._privacy = dict(clients), privacy
        self._left_out: set[int] = set()
        """Those that sit out the rest of the round."""
        self._traffic = TrafficCounter()

    def inventory(self) -> list[Inventory]:
        """What each client holds: counts only."""
        return [client.owner.inventory() for client in self._clients.values()]

    def begin_round(self, round_number: int, clients: Collection[int] | None = None) -> None:
        """Prepares the minibatches of a round.

        Args:
            clients: those of the federation that take part in it; None: all.
        """
        self._traffic.forget()
        self._left_out = set() if clients is None else set(self._clients) - set(clients)
        for number, client in self._clients.items():
            if number not in self._left_out:
                client.owner.begin_round(round_number)
                client.begin_round(round_number)

    def _taking_part(self, step: int) -> dict[int, HostedT]:
        """The clients whose local epochs still have a minibatch for this step of the round."""
        return {
            number: client
            for number, client in self._clients.items()
            if number not in self._left_out and client.owner.takes_part(step)
        }

    def check_in(self) -> CheckIn:
        """The clients that can be averaged, and what is wrong with the others."""
        lost: dict[int, Lost] = {}
        for number, client in self._clients.items():
            if client.owner.unreadable is not None:
                error = client.owner.unreadable
                found = f"cannot read its data again ({error.where}: {error.found}); it takes no part"
                lost[number] = Lost(found, "unfit")
            elif not client.is_finite():
                lost[number] = Lost("its parameters are not finite; it takes over an average", "not_finite")
        able = {n: client.owner.num_held for n, client in self._clients.items() if n not in lost}
        return CheckIn(able, lost)

    def spending(self) -> list[Spending]:
        """What each client has spent of its privacy budget."""
        told = (client.owner.spending for client in self._clients.values())
        return [spending for spending in told if spending is not None]

    def account(self, updates: Mapping[int, int]) -> None:
        """Those of these clients that are here have made at least so many noised updates."""
        for number, client in self._clients.items():
            client.owner.account(updates.get(number, 0))

    def traffic(self) -> Traffic:
        """What its clients sent and were sent since the round began, and whose data their sites refused."""
        for client in self._clients.values():
            if isinstance(client.owner.unreadable, PolicyError):
                self._traffic.refused("site", "client", "Images")
        return self._traffic.take()

    def save(self, folder: str) -> Written:
        """Writes all clients' states as one file, which is named after the first of them."""
        states = {number: partial(self._arrays_of, client) for number, client in self._clients.items()}
        return write_packed(Path(folder) / clients_file(min(states)), states)

    def restore(self, folder: str, sources: Mapping[int, str]) -> None:
        """Each client reads its own state.

        Args:
            sources: each client -> the file with its state, or else with the model that it takes over; empty: it begins
                anew.
        """
        packed: dict[str, list[int]] = {}
        for number, client in self._clients.items():
            file = sources[number]
            if file.startswith(PACKED):
                packed.setdefault(file, []).append(number)
            elif file == client_file(number):
                self._restore(client, read_arrays(Path(folder) / file))
            elif file:
                client.take_over(read_arrays(Path(folder) / file))
        for file, numbers in packed.items():
            for number, arrays in read_packed(Path(folder) / file, numbers):
                self._restore(self._clients[number], dict(arrays))

    def _restore(self, client: HostedT, of_file: dict[str, np.ndarray]) -> None:
        arrays = self._from_file(of_file)
        client.restore(arrays)
        client.owner.restore(arrays)

    def _arrays_of(self, client: HostedT) -> dict[str, np.ndarray]:
        return self._to_file({**client.arrays(), **client.owner.arrays()})

    def _to_file(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """A client's arrays as its file has them."""
        return arrays

    def _from_file(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The inverse of `_to_file`."""
        return arrays
