"""What a client of any algorithm has of its own: its images and labels, and the minibatches of a round.

Images, labels and z stay in this object and its client. z is drawn on the CPU, so that it is the same on every device.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from raygan.config.schema import TrainingConfig
from raygan.data.admission import Gate
from raygan.data.client import ImageSet, load_client
from raygan.data.shape import ClientSlice
from raygan.errors import DataError
from raygan.nn.augmentation import IDENTITY, Transform, draw_transform
from raygan.nn.trained import Noise
from raygan.randomness import stream, torch_seed
from raygan.wire.codec import CPU
from raygan.wire.records import Inventory, Spending


@dataclass(frozen=True)
class Minibatch:
    """One step's, on the client's device. B images, C channels, S image side, Z latent entries."""

    images: Tensor
    """(B, C, S, S) float32 in [-1, 1]."""
    labels: Tensor
    """(B,) int64."""
    z: Tensor
    """(B, Z) float32 ~ N(0, 1)."""
    labels_of_fakes: Tensor | None = None
    """(B,) int64; None: as `labels`."""
    transform: Transform = IDENTITY
    """What the step's fakes and reals go through before D sees them."""
    noise: Noise | None = None
    """Of D's update on it, under differential privacy; None: none."""

    @property
    def fake_labels(self) -> Tensor:
        """(B,) int64: the labels of the fakes that z becomes."""
        return self.labels if self.labels_of_fakes is None else self.labels_of_fakes


class DataOwner:
    """One client's data. Its minibatches follow from (seed, round, client) alone: they are the same for every algorithm.

    Args:
        client: its number.
        data: which images are its own.
        seed: the run's.
        latent_size: Z.
        device: where its minibatches go.
        again: it takes the place of a lost one, so data that cannot be read is a fault of its own (`unreadable`).
        gate: asks its site before the data is read; None: without.

    Raises:
        DataError: data that cannot be read, or that the site does not allow to be, the first time.
    """

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
    ) -> None:
        self.client, self._training, self._seed = client, training, seed
        self._latent_size, self._device = latent_size, device
        self._data: ImageSet | None = None
        self.unreadable: DataError | None = None
        """Why it takes no part; None: it has its data."""
        try:
            self._data = _loaded(client, data, gate)
        except DataError as error:
            if not again:
                raise
            self.unreadable = error
        self._batches: list[npt.NDArray[np.int64]] = []
        self._shuffle = stream(0, "inventory")
        self._latent = torch.Generator()
        self._round = 0

    @property
    def num_held(self) -> int:
        """Training images that it holds."""
        return 0 if self._data is None else len(self._data)

    def class_counts(self) -> dict[int, int]:
        """Class -> training images that it holds, of those that it has."""
        labels, counts = np.unique([] if self._data is None else self._data.labels, return_counts=True)
        return {int(label): int(count) for label, count in zip(labels, counts, strict=True)}

    def inventory(self) -> Inventory:
        """How much it holds: counts only."""
        return Inventory(self.client, self.num_held, len(self._epoch(stream(0, "inventory"))))

    def begin_round(self, round_number: int) -> None:
        """Shuffles E epochs of minibatches and seeds z, both from (seed, round, client)."""
        self._shuffle = self._new_shuffle(round_number)
        self._batches = [batch for _ in range(self._training.local_epochs) for batch in self._epoch(self._shuffle)]
        self._latent.manual_seed(torch_seed(self._seed, "latent", round_number, self.client))
        self._round = round_number

    def _new_shuffle(self, round_number: int) -> np.random.Generator:
        """What draws a round's minibatches."""
        return stream(self._seed, "batches", round_number, self.client)

    def takes_part(self, step: int) -> bool:
        """Whether it has a minibatch for this step of the round: if everybody is to, also after its own local epochs."""
        if self._training.steps == "everybody":
            while self._batches and step >= len(self._batches):
                self._batches += self._epoch(self._shuffle)
        return step < len(self._batches)

    def minibatch(self, step: int) -> Minibatch:
        """The real images and labels of a step, and z, which is drawn anew: call it once a step, in order."""
        assert self._data is not None, "without data it has no minibatches"
        images, labels = self._data.batch(self._batches[step])
        z = torch.randn(len(labels), self._latent_size, generator=self._latent)
        return Minibatch(
            torch.from_numpy(images).to(self._device),
            torch.from_numpy(labels).to(self._device),
            z.to(self._device),
            self._labels_of_fakes(step, len(labels)),
            self._transform(step),
        )

    @property
    def spending(self) -> Spending | None:
        """What it has spent of its privacy budget; None: it has none."""
        return None

    def account(self, updates: int) -> None:
        """At least so many noised updates have been made: others know of more than it does, if its actor was lost."""

    def arrays(self) -> dict[str, np.ndarray]:
        """What a checkpoint needs to know of how its images were used: nothing."""
        return {}

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """The inverse of `arrays`."""

    def _labels_of_fakes(self, step: int, count: int) -> Tensor | None:
        if self._training.fake_labels == "own":
            return None
        draw = stream(self._seed, "fake_labels", self._round, self.client, step)
        return torch.from_numpy(draw.choice(sorted(self.class_counts()), count)).to(self._device)

    def _transform(self, step: int) -> Transform:
        """For a full batch, since the fakes of a server's generator may be more than the reals."""
        training = self._training
        if not training.augment:
            return IDENTITY
        seed = torch_seed(self._seed, "augment", self._round, self.client, step)
        return draw_transform(training.augment, training.batch_size, seed, self._device)

    def _epoch(self, shuffle: np.random.Generator) -> list[npt.NDArray[np.int64]]:
        """Minibatches of one pass over its images: indices."""
        return [] if self._data is None else self._data.epoch_batches(shuffle, self._training.batch_size)


def _loaded(client: int, data: ClientSlice, gate: Gate | None) -> ImageSet:
    admission = gate() if gate else None
    images = load_client(data)
    if admission:
        admission.check_images(f"client-{client:02d}", len(images))
    return images
