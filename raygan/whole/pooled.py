"""Data owners whose images are pooled: one pair of networks is trained on the minibatches of all of them, merged."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch

from raygan.nn.augmentation import merged_transform
from raygan.nn.network import block_state
from raygan.parties.data_owner import DataOwner, Minibatch
from raygan.parties.reports import step_report
from raygan.whole.networks import WholeNetworks
from raygan.whole.worker import TrainingClients
from raygan.wire.records import BlockAverage, StepId, StepReport


class PooledClient:
    """One client's data, and the networks that it has in common with the others.

    Args:
        keeps: whether its file in a checkpoint is the one that has the networks.
    """

    def __init__(self, owner: DataOwner, networks: WholeNetworks, keeps: bool) -> None:
        self.owner, self._networks, self._keeps = owner, networks, keeps

    def begin_round(self, round_number: int) -> None:
        """Sets the round's learning rates, which all of its pool have."""
        self._networks.begin_round(round_number)

    def is_finite(self) -> bool:
        """Whether all parameters and buffers are finite."""
        return self._networks.is_finite()

    def arrays(self) -> dict[str, np.ndarray]:
        """Networks and optimizers, once for all clients."""
        return self._networks.arrays() if self._keeps else {}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """The inverse of `arrays`."""
        if self._keeps:
            self._networks.restore(arrays)

    def take_over(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Loads a model's networks, `network.block.name`; the optimizers begin anew."""
        if self._keeps:
            self._networks.take_over(arrays)


class PooledClients(TrainingClients[PooledClient]):
    """The clients whose images are pooled."""

    sends = frozenset({BlockAverage})

    def _equipped(self, owners: Sequence[DataOwner], new_networks: Callable[[], WholeNetworks]) -> list[PooledClient]:
        self._networks = new_networks()
        return [PooledClient(owner, self._networks, owner is owners[0]) for owner in owners]

    def train(self, step: StepId) -> StepReport:
        """One D update and one G update on the minibatches, merged, of every client that takes part; each of them tells
        the same losses."""
        started = time.perf_counter()
        batches = {n: client.owner.minibatch(step.step) for n, client in self._taking_part(step.step).items()}
        if not batches:
            return step_report(step, self.plan.worker, {}, {"train": time.perf_counter() - started})
        done = self._networks.step(_merged(list(batches.values())))
        first, *others = batches
        steps = {first: done, **dict.fromkeys(others, replace(done, num_images=0, statistics={}))}
        return step_report(step, self.plan.worker, steps, {"train": time.perf_counter() - started})

    def networks(self) -> list[BlockAverage]:
        """Every block of both networks, generator first."""
        return [BlockAverage(key, block_state(block)) for key, block in self._networks.blocks.items()]


def _merged(batches: list[Minibatch]) -> Minibatch:
    return Minibatch(
        torch.cat([one.images for one in batches]),
        torch.cat([one.labels for one in batches]),
        torch.cat([one.z for one in batches]),
        torch.cat([one.fake_labels for one in batches]),
        merged_transform([one.transform for one in batches], [len(one.labels) for one in batches]),
    )
