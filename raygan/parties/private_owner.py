"""A data owner under differential privacy: every use of its images is drawn, counted and kept within a budget.

A minibatch is a Poisson sample: each image is in it by itself with a chance of q = B / n (1 of fewer than B images), so
it may be of any size, also empty. There are as many in an epoch as there would be full ones. Labels of fakes are drawn
evenly over all classes, since those that the client holds are its own affair.

What it tells of its images otherwise stands in `raygan/docs/privacy.md`.
"""

from __future__ import annotations

import secrets

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from raygan.config.privacy import DpConfig
from raygan.config.schema import TrainingConfig
from raygan.data.admission import Gate
from raygan.data.shape import ClientSlice
from raygan.nn.augmentation import Transform, draw_transform
from raygan.nn.trained import Noise
from raygan.parties.budget import Budget
from raygan.parties.data_owner import DataOwner, Minibatch
from raygan.randomness import stream, torch_seed
from raygan.wire.codec import CPU
from raygan.wire.records import Spending

UPDATES = "privacy.updates"
"""Name in a client's file."""


class PrivateDataOwner(DataOwner):
    """One client's data. Arguments and errors as `DataOwner`; the run's seed decides over images only where the
    configuration says so."""

    def __init__(
        self,
        client: int,
        data: ClientSlice,
        training: TrainingConfig,
        seed: int,
        latent_size: int,
        device: torch.device = CPU,
        again: bool = False,
        gate: Gate | None = None,
        *,
        dp: DpConfig,
    ) -> None:
        super().__init__(client, data, training, seed, latent_size, device, again, gate)
        self._dp, self._num_classes = dp, data.shape.num_classes
        self._expected = max(1, min(training.batch_size, self.num_held))
        """B: images of a minibatch on average."""
        self._rate = self._expected / max(1, self.num_held)
        self._budget = Budget(dp, self._rate)

    @property
    def spending(self) -> Spending:
        """What is spent so far."""
        budget = self._budget
        return Spending(self.client, budget.updates, budget.epsilon, budget.allowed, self._rate)

    def account(self, updates: int) -> None:
        """At least so many noised updates have been made."""
        self._budget.updates = max(self._budget.updates, updates)

    def _new_shuffle(self, round_number: int) -> np.random.Generator:
        return super()._new_shuffle(round_number) if self._dp.seeded else np.random.default_rng()

    def takes_part(self, step: int) -> bool:
        """Whether it has a minibatch for this step, and budget left."""
        return not self._budget.is_spent and super().takes_part(step)

    def minibatch(self, step: int) -> Minibatch:
        """The drawn images of a step, which count as spent, and z of as many fakes as images are drawn on average."""
        assert self._data is not None, "without data it has no minibatches"
        self._budget.spend()
        images, labels = self._data.batch(self._batches[step])
        z = torch.randn(self._expected, self._latent_size, generator=self._latent)
        return Minibatch(
            torch.from_numpy(images).to(self._device),
            torch.from_numpy(labels).to(self._device),
            z.to(self._device),
            self._labels_of_fakes(step, self._expected),
            self._transform(step),
            Noise(self._secret("noise", step), self._expected),
        )

    def arrays(self) -> dict[str, np.ndarray]:
        """What is spent, for a checkpoint."""
        return {UPDATES: np.array(self._budget.updates)}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """The inverse of `arrays`."""
        if UPDATES in arrays:
            self._budget.updates = int(arrays[UPDATES])

    def _epoch(self, shuffle: np.random.Generator) -> list[npt.NDArray[np.int64]]:
        """As many minibatches as an epoch has: indices."""
        held = self.num_held
        if not held:
            return []
        drawn = (shuffle.random(held) < self._rate for _ in range(held // self._expected))
        return [np.flatnonzero(one) for one in drawn]

    def _labels_of_fakes(self, step: int, count: int) -> Tensor:
        draw = stream(self._seed, "fake_labels", self._round, self.client, step)
        return torch.from_numpy(draw.integers(self._num_classes, size=count)).to(self._device)

    def _transform(self, step: int) -> Transform:
        """For all of its images, since all may be drawn."""
        most = max(self._training.batch_size, len(self._batches[step]))
        return draw_transform(self._training.augment, most, self._secret("augment", step), self._device)

    def _secret(self, purpose: str, step: int) -> int:
        """A seed that nobody else knows; of a run that is to be repeated, its own."""
        if not self._dp.seeded:
            return secrets.randbits(63)
        return torch_seed(self._seed, purpose, self._round, self.client, step)
