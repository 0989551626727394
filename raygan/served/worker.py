"""Clients with a discriminator each: trained on fakes of the server's generator, it tells what it makes of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from raygan.config.schema import Config
from raygan.names import BlockKey
from raygan.nn.augmentation import Transform
from raygan.nn.private import discriminator_of
from raygan.nn.spec import NetworkSpec
from raygan.nn.start import initial_networks
from raygan.nn.trained import DiscriminatorUpdate, TrainedDiscriminator, states_in
from raygan.parties.averaged import AveragedClients
from raygan.parties.data_owner import DataOwner, Minibatch
from raygan.parties.layout import ClientPlan, WorkerPlan
from raygan.parties.owners import data_owners
from raygan.parties.reports import ClientStep, step_report
from raygan.served.batch import FakeBatch
from raygan.wire.codec import CPU, to_array
from raygan.wire.records import Fakes, Feedback, Lost, State, StepId, StepReport, num_bytes

T = TypeVar("T")


class ServedClient:
    """One client: its data, and a discriminator."""

    def __init__(self, owner: DataOwner, discriminator: TrainedDiscriminator) -> None:
        self.owner, self.discriminator = owner, discriminator

    def begin_round(self, round_number: int) -> None:
        """Sets the round's learning rate."""
        self.discriminator.begin_round(round_number)

    @property
    def blocks(self) -> dict[BlockKey, nn.Module]:
        """The discriminator's, in order."""
        return self.discriminator.blocks

    def is_finite(self) -> bool:
        """Whether all parameters and buffers are finite."""
        return self.discriminator.is_finite()

    def arrays(self) -> dict[str, np.ndarray]:
        """Discriminator and optimizer, for a checkpoint."""
        return self.discriminator.arrays()

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """The inverse of `arrays`."""
        self.discriminator.restore(arrays)

    def take_over(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Loads the discriminator of a model that has one; else its own stays what it is."""
        if states := states_in(arrays, "discriminator"):
            self.discriminator.take_over(states)

    def learn(self, fakes: FakeBatch, real: Minibatch) -> DiscriminatorUpdate:
        """D's update; it sees both through the minibatch's transform."""
        seen = real.transform(fakes.images), fakes.labels, real.transform(real.images), real.labels
        return self.discriminator.learn(*seen, real.noise)

    def feedback(self, fakes: FakeBatch, transform: Transform) -> tuple[Tensor, Tensor]:
        """G's loss on fakes that D sees through the transform, mean over the batch, and its gradient with respect to the
        fakes."""
        images = fakes.images.detach().requires_grad_()
        loss = self.discriminator.generator_loss(transform(images), fakes.labels)
        (gradient,) = torch.autograd.grad(loss, images)
        return loss.detach(), gradient


class ServedClients(AveragedClients[ServedClient]):
    """One or several clients on one device. All discriminators begin as that of the run's seed.

    Args:
        device: where its clients compute.
        again: it takes the place of a lost one, so data that cannot be read is a client's fault.

    Raises:
        DataError: data that cannot be read, the first time.
    """

    sends = frozenset({Feedback, State})

    def __init__(
        self,
        plan: WorkerPlan[ClientPlan],
        spec: NetworkSpec,
        config: Config,
        device: torch.device = CPU,
        again: bool = False,
    ) -> None:
        self.plan, self._config, self._device = plan, config, device
        networks = initial_networks(spec, config)
        self._initial, self._anchor = networks.discriminator, networks.discriminator_anchor
        owners = data_owners(plan, spec, config, device, again)
        clients = {owner.client: ServedClient(owner, self._new_discriminator()) for owner in owners}
        super().__init__(clients, config.privacy)
        self._steps: dict[int, ClientStep] = {}
        self._seconds: dict[str, float] = {}
        self._sent_bytes = self._received_bytes = 0

    def judge(self, step: StepId, message: Fakes | Lost) -> Feedback:
        """Each D's update on fakes and reals, then what it tells G of the fakes that it judges. Who has no minibatch for
        the step, or no finite numbers, is left out."""
        started = time.perf_counter()
        gradients: dict[int, np.ndarray] = {}
        for number, real, (update, loss, gradient) in self._of_each(step, message, self._judged):
            if self._note(number, update, loss, gradient, len(real.z)):
                gradients[number] = to_array(gradient.cpu())
        self._seconds["learn_and_judge"] = time.perf_counter() - started
        self._sent("Feedback", gradients)
        return Feedback(step, gradients)

    def report(self, step: StepId) -> StepReport:
        """Ends a step."""
        return step_report(step, self.plan.worker, self._steps, self._seconds, self._sent_bytes, self._received_bytes)

    def renew(self) -> None:
        """Discriminators that are no longer finite begin anew."""
        for client in self._clients.values():
            if not client.is_finite():
                client.discriminator = self._new_discriminator()

    def _judged(
        self, client: ServedClient, to_learn: FakeBatch, to_judge: FakeBatch, real: Minibatch
    ) -> tuple[DiscriminatorUpdate, Tensor, Tensor]:
        """D's update, G's loss through the new D, and its gradient."""
        update = client.learn(to_learn, real)
        return update, *client.feedback(to_judge, real.transform)

    def _of_each(
        self,
        step: StepId,
        message: Fakes | Lost,
        part: Callable[[ServedClient, FakeBatch, FakeBatch, Minibatch], T],
    ) -> Iterable[tuple[int, Minibatch, T]]:
        """Begins a step: of each client that takes part its number, its minibatch and what it makes of that.

        Args:
            part: of a client with the fakes for D, those that are to be judged, and its minibatch.
        """
        clients = self._begin(step, message)
        reals = [client.owner.minibatch(step.step) for client, *_ in clients.values()]
        pairs = zip(clients.values(), reals, strict=True)
        done = self.compute([partial(part, *of_client, real) for of_client, real in pairs])
        return zip(clients, reals, done, strict=True)

    def _begin(self, step: StepId, message: Fakes | Lost) -> dict[int, tuple[ServedClient, FakeBatch, FakeBatch]]:
        """Who takes part in the step, each with the fakes for D and those that are to be judged."""
        self._steps, self._seconds = {}, {}
        self._sent_bytes = self._received_bytes = 0
        if isinstance(message, Lost):
            return {}
        found = {}
        for number, client in self._taking_part(step.step).items():
            arrays = list(zip(message.images[number], message.labels[number], strict=True))
            self._received("Fakes", arrays)
            batches = [FakeBatch(*(torch.tensor(a, device=self._device) for a in pair)) for pair in arrays]
            found[number] = client, batches[0], batches[-1]
        return found

    def _note(self, number: int, update: DiscriminatorUpdate, loss: Tensor, told: Tensor, num_images: int) -> bool:
        """Keeps what a client's step tells; whether what it tells G is finite."""
        scalars = [*update.scalars, loss, told.isfinite().all()]
        d_loss, *sums, g_loss, finite = torch.stack([x.float() for x in scalars]).tolist()
        self._steps[number] = one = ClientStep(d_loss, g_loss, num_images, update.statistics(*sums))
        return one.is_finite and bool(finite)

    def _sent(self, kind: str, arrays: Mapping[int, np.ndarray]) -> None:
        for array in arrays.values():
            self._traffic.add("client", "server", kind, num_bytes(array))
            self._sent_bytes += num_bytes(array)

    def _received(self, kind: str, arrays: object) -> None:
        self._traffic.add("server", "client", kind, num_bytes(arrays))
        self._received_bytes += num_bytes(arrays)

    def _new_discriminator(self) -> TrainedDiscriminator:
        training, dp = self._config.training, self._config.privacy.dp
        return discriminator_of(self._initial, self._anchor, training, self._device, dp)
