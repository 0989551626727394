"""Clients whose discriminators are mixed by the server: they tell logits, and answer with gradients."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor

from raygan.nn.backward import start_of
from raygan.nn.trained import DiscriminatorUpdate
from raygan.parties.counted import CountedClients
from raygan.parties.data_owner import Minibatch
from raygan.served.batch import FakeBatch
from raygan.served.worker import ServedClient, ServedClients
from raygan.wire.codec import to_array
from raygan.wire.records import ClassCounts, Fakes, Feedback, Logits, Lost, StepId


class MixedClients(CountedClients[ServedClient], ServedClients):
    """One or several clients."""

    sends = frozenset({ClassCounts, Feedback, Logits})
    _judged_fakes: dict[int, tuple[Tensor, Tensor]]
    """Client -> fakes, and its logits of them with the graph between."""

    def logits(self, step: StepId, message: Fakes | Lost) -> Logits:
        """Each D's update on fakes and reals, then its logits of the same fakes."""
        started = time.perf_counter()
        self._judged_fakes = {}
        for number, real, (update, loss, images, logits) in self._of_each(step, message, _learn_and_judge):
            if self._note(number, update, loss, logits, len(real.labels)):
                self._judged_fakes[number] = images, logits
        told = {number: logits.detach().cpu().numpy() for number, (_, logits) in self._judged_fakes.items()}
        self._seconds["learn_and_judge"] = time.perf_counter() - started
        self._sent("Logits", told)
        return Logits(step, told)

    def answer(self, step: StepId, message: Logits | Lost) -> Feedback:
        """From gradients with respect to the logits to those with respect to the fakes."""
        started = time.perf_counter()
        gradients: dict[int, np.ndarray] = {}
        for number, wanted in message.values.items() if isinstance(message, Logits) else ():
            images, logits = self._judged_fakes[number]
            self._received("Logits", wanted)
            (gradient,) = torch.autograd.grad(start_of([logits], [torch.tensor(wanted, device=self._device)]), images)
            if gradient.isfinite().all():
                gradients[number] = to_array(gradient.cpu())
        self._judged_fakes = {}
        self._seconds["answer"] = time.perf_counter() - started
        self._sent("Feedback", gradients)
        return Feedback(step, gradients)


def _learn_and_judge(
    client: ServedClient, _: FakeBatch, fakes: FakeBatch, real: Minibatch
) -> tuple[DiscriminatorUpdate, Tensor, Tensor, Tensor]:
    """D's update, G's loss through the new D, the fakes, and D's logits of them."""
    update = client.learn(fakes, real)
    images = fakes.images.detach().requires_grad_()
    logits = client.discriminator.judge(real.transform(images), fakes.labels)
    return update, client.discriminator.loss_of(logits), images, logits
