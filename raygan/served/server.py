"""The server's generator: it sends fakes to the discriminators, and learns from what they make of them.

B images of a batch, C channels, S image side.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from raygan.config.schema import Config
from raygan.nn.backward import run_backward
from raygan.nn.start import initial_networks
from raygan.nn.trained import TrainedNetwork
from raygan.parties.base import Server
from raygan.parties.layout import ClientPlan, Layout
from raygan.randomness import torch_seed
from raygan.served.batch import FakeBatch
from raygan.storage import read_arrays, write_arrays
from raygan.wire.codec import CPU, to_array
from raygan.wire.records import BlockAverage, BodyReport, Fakes, Feedback, Lost, StepId, Written
from raygan.wire.statistics import Mean

GENERATOR_FILE = "generator.safetensors"
Reduction = Literal["mean", "sum"]


class GeneratorServer(Server):
    """G with its optimizer. z and the fakes' labels follow from (seed, round); labels are even over all classes, since
    nobody tells the server which a client has.

    Args:
        num_batches: k: client n's D is trained on batch n mod k and judges batch (n + 1) mod k.
        reduction: of the clients' feedback, to the gradient of G's loss.
    """

    merges: ClassVar[frozenset[str]] = frozenset({"learn"})

    def __init__(
        self,
        layout: Layout[ClientPlan],
        config: Config,
        num_batches: int = 1,
        reduction: Reduction = "mean",
        device: torch.device = CPU,
    ) -> None:
        self._layout, self._config, self._device = layout, config, device
        self._num_batches, self._reduction = num_batches, reduction
        networks = initial_networks(layout.spec, config)
        self._generator = TrainedNetwork("generator", networks.generator, config.training, device)
        self._noise = torch.Generator()
        self._batches: list[FakeBatch] = []
        self._seconds: dict[str, float] = {}
        self._step_started = time.perf_counter()

    def begin_round(self, round_number: int) -> None:
        """Seeds z and labels, and sets the round's learning rate."""
        self._generator.begin_round(round_number)
        self._noise.manual_seed(torch_seed(self._config.seed, "fakes", round_number))
        self._batches, self._seconds, self._step_started = [], {}, time.perf_counter()

    def fakes(self, step: StepId, workers: Sequence[int]) -> list[Fakes]:
        """Begins a step: k batches; one record for each of the workers."""
        started = time.perf_counter()
        self._batches = [self._made() for _ in range(self._num_batches)]
        images = [to_array(batch.images.detach().cpu()) for batch in self._batches]
        labels = [batch.labels.cpu().numpy() for batch in self._batches]
        records = []
        for worker in workers:
            places = {client: dict.fromkeys(self._places(client)) for client in self._layout.workers[worker].ids}
            records.append(
                Fakes(
                    step,
                    {client: tuple(images[place] for place in mine) for client, mine in places.items()},
                    {client: tuple(labels[place] for place in mine) for client, mine in places.items()},
                )
            )
        self._seconds["fakes"] = time.perf_counter() - started
        return records

    def learn(self, step: StepId, messages: Mapping[int, Feedback | Lost]) -> BodyReport:
        """Ends a step: G's update by the feedback of those who are there.

        Args:
            messages: worker -> its feedback.
        """
        started = time.perf_counter()
        arrived = {worker: m for worker, m in messages.items() if isinstance(m, Feedback) and m.step == step}
        gradients = {client: g for message in arrived.values() for client, g in message.gradients.items()}
        statistics = {}
        if gradients:
            self._backward({client: torch.tensor(g, device=self._device) for client, g in gradients.items()})
            statistics["generator_gradient_norm"] = Mean(float(self._generator.update()), 1)
        self._batches = []
        now = time.perf_counter()
        self._seconds["learn"] = now - started
        absent = tuple(worker for worker in messages if worker not in arrived)
        report = BodyReport(step, self._seconds, absent, now - self._step_started, statistics)
        self._seconds, self._step_started = {}, now
        return report

    def check(self) -> Lost | None:
        """`Lost` where the generator's numbers are no longer finite."""
        return None if self._generator.is_finite() else Lost("the generator is not finite", "not_finite")

    def networks(self) -> list[BlockAverage]:
        """The generator's blocks, in order."""
        return [BlockAverage(key, state) for key, state in self._generator.states().items()]

    def save(self, folder: str) -> Written:
        """Writes the generator and its optimizer."""
        return write_arrays(Path(folder) / GENERATOR_FILE, self._generator.arrays())

    def restore(self, folder: str, serves: Mapping[int, int]) -> None:
        """The inverse of `save`."""
        self._generator.restore(read_arrays(Path(folder) / GENERATOR_FILE))

    def _places(self, client: int) -> tuple[int, int]:
        """The batch that its D is trained on, and the one that it judges."""
        return client % self._num_batches, (client + 1) % self._num_batches

    def _made(self) -> FakeBatch:
        size, spec = self._config.training.batch_size, self._layout.spec
        z = torch.randn(size, spec.latent_size, generator=self._noise).to(self._device)
        labels = self._labels(size).to(self._device)
        return FakeBatch(self._generator(z, labels), labels)

    def _labels(self, size: int) -> Tensor:
        return torch.randint(self._layout.spec.num_classes, (size,), generator=self._noise)

    def _backward(self, gradients: Mapping[int, Tensor]) -> None:
        """Through each batch's graph once."""
        divisor = len(gradients) if self._reduction == "mean" else 1
        for place, batch in enumerate(self._batches):
            mine = [gradient for client, gradient in sorted(gradients.items()) if self._places(client)[1] == place]
            if mine:
                run_backward([batch.images], [torch.stack(mine).sum(0) / divisor])
