"""Data owners that train both networks whole, each its own, and those of one actor."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
from torch import nn

from raygan.names import BlockKey
from raygan.nn.network import block_state
from raygan.parties.data_owner import DataOwner, Minibatch
from raygan.parties.reports import ClientStep, step_report
from raygan.whole.networks import WholeNetworks
from raygan.whole.worker import TrainingClients
from raygan.wire.records import BlockAverage, StepId, StepReport


class WholeClient:
    """One client: its data, and networks of its own."""

    def __init__(self, owner: DataOwner, networks: WholeNetworks) -> None:
        self.owner, self.networks = owner, networks

    @property
    def blocks(self) -> dict[BlockKey, nn.Module]:
        """Every block of both networks, generator first."""
        return self.networks.blocks

    def begin_round(self, round_number: int) -> None:
        """Sets the round's learning rates."""
        self.networks.begin_round(round_number)

    def minibatch(self, step: int) -> Minibatch:
        """What it trains on in a step of the round."""
        return self.owner.minibatch(step)

    def step(self, step: int) -> ClientStep:
        """One update of both networks."""
        return self.networks.step(self.minibatch(step))

    def is_finite(self) -> bool:
        """Whether all parameters and buffers are finite."""
        return self.networks.is_finite()

    def arrays(self) -> dict[str, np.ndarray]:
        """Networks and optimizers, for a checkpoint."""
        return self.networks.arrays()

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """The inverse of `arrays`."""
        self.networks.restore(arrays)

    def take_over(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Loads a model's networks, `network.block.name`; its optimizers begin anew."""
        self.networks.take_over(arrays)


class WholeClients(TrainingClients[WholeClient]):
    """Each client trains alone."""

    sends = frozenset({BlockAverage})

    def _equipped(self, owners: Sequence[DataOwner], new_networks: Callable[[], WholeNetworks]) -> list[WholeClient]:
        return [WholeClient(owner, new_networks()) for owner in owners]

    def train(self, step: StepId) -> StepReport:
        """One step of every client that takes part, on a minibatch and networks of its own."""
        started = time.perf_counter()
        clients = self._taking_part(step.step)
        steps = self.compute([partial(client.step, step.step) for client in clients.values()])
        of_clients = dict(zip(clients, steps, strict=True))
        return step_report(step, self.plan.worker, of_clients, {"train": time.perf_counter() - started})

    def networks(self) -> list[BlockAverage]:
        """Every block of each client's networks, client after client: for whom they are meant, scores and samples."""
        return [
            BlockAverage(key, block_state(block))
            for client in self._clients.values()
            for key, block in client.blocks.items()
        ]
