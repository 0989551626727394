"""Clients that train on with images which others' generators made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import numpy as np
import torch

from raygan.config.schema import PflGanConfig
from raygan.data.shape import to_bytes, to_float
from raygan.parties.counted import CountedClients
from raygan.parties.data_owner import DataOwner, Minibatch
from raygan.randomness import stream
from raygan.whole.clients import WholeClient, WholeClients
from raygan.whole.networks import WholeNetworks
from raygan.wire.records import BlockAverage, ClassCounts, Fakes, Lost, State, num_bytes

IMAGES, LABELS = "synthetic.images", "synthetic.labels"
"""Names in a client's file."""


class PersonalClient(WholeClient):
    """One client: its own images and, once it has them, others' synthetic ones.

    Args:
        share: of a minibatch that is synthetic.
        seed: the run's.
    """

    def __init__(self, owner: DataOwner, networks: WholeNetworks, share: float, seed: int) -> None:
        super().__init__(owner, networks)
        self._share, self._seed = share, seed
        self._synthetic: tuple[np.ndarray, np.ndarray] | None = None
        """uint8 (N, C, S, S) and int64 (N,)."""
        self._draw = stream(seed, "synthetic", 0, owner.client)

    def begin_round(self, round_number: int) -> None:
        """Sets the round's learning rates, and seeds the draw of synthetic images."""
        super().begin_round(round_number)
        self._draw = stream(self._seed, "synthetic", round_number, self.owner.client)

    def take_in(self, images: np.ndarray, labels: np.ndarray) -> None:
        """Keeps synthetic images, float (N, C, S, S) in [-1, 1], as bytes."""
        self._synthetic = to_bytes(images), np.array(labels)

    def minibatch(self, step: int) -> Minibatch:
        """Its own; once it has synthetic images, the last ones of it are replaced by some of them."""
        own = super().minibatch(step)
        count = round(self._share * len(own.labels))
        if self._synthetic is None or count == 0:
            return own
        images, labels = self._synthetic
        rows = self._draw.integers(len(labels), size=count)
        device, kept = own.labels.device, len(own.labels) - count
        return Minibatch(
            torch.cat([own.images[:kept], torch.from_numpy(to_float(images[rows])).to(device)]),
            torch.cat([own.labels[:kept], torch.from_numpy(labels[rows]).to(device)]),
            own.z,
            own.labels_of_fakes,
            own.transform,
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """Networks, optimizers and synthetic images, for a checkpoint."""
        kept = {} if self._synthetic is None else dict(zip((IMAGES, LABELS), self._synthetic, strict=True))
        return {**super().arrays(), **kept}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """The inverse of `arrays`."""
        super().restore({name: array for name, array in arrays.items() if name not in (IMAGES, LABELS)})
        self._synthetic = (arrays[IMAGES], arrays[LABELS]) if IMAGES in arrays else None


class PersonalClients(CountedClients[WholeClient], WholeClients):
    """Each client trains alone, at first on its own images."""

    sends = frozenset({BlockAverage, ClassCounts, State})

    def _equipped(self, owners: Sequence[DataOwner], new_networks: Callable[[], WholeNetworks]) -> list[WholeClient]:
        share, seed = (self._config.pfl_gan or PflGanConfig()).synthetic_share, self._config.seed
        return [PersonalClient(owner, new_networks(), share, seed) for owner in owners]

    @property
    def _personal(self) -> dict[int, PersonalClient]:
        return cast(dict[int, PersonalClient], self._clients)

    def generators(self) -> list[State]:
        """Each client's generator, once."""
        found = [State(0, client.networks.generator.to_sample()) for client in self._clients.values()]
        for state in found:
            self._traffic.add("client", "server", "State", num_bytes(state))
        return found

    def take_in(self, message: Fakes | Lost) -> Lost | None:
        """Each client keeps the synthetic images that are for it."""
        if isinstance(message, Lost):
            return message
        for number in message.images:
            images, labels = message.images[number][0], message.labels[number][0]
            self._traffic.add("server", "client", "Fakes", num_bytes((images, labels)))
            self._personal[number].take_in(images, labels)
        return None
