"""A server that mixes its clients' discriminators into one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from raygan.config.schema import Config
from raygan.nn.losses import gan_loss
from raygan.parties.layout import ClientPlan, Layout
from raygan.served.server import GeneratorServer
from raygan.wire.codec import CPU
from raygan.wire.records import ClassCounts, Logits, Lost, StepId


class MixingServer(GeneratorServer):
    """G learns from the odds of all clients' discriminators, mixed by the clients' shares of each class."""

    merges: ClassVar[frozenset[str]] = frozenset({"mix", "learn"})

    def __init__(self, layout: Layout[ClientPlan], config: Config, device: torch.device = CPU) -> None:
        super().__init__(layout, config, 1, "sum", device)
        self._loss = gan_loss(config.training.loss)
        self._counts: dict[int, Tensor] = {}

    def know(self, counts: Sequence[ClassCounts | Lost]) -> None:
        """Takes in how many images of each class the round's clients hold."""
        self._counts = {}
        for one in counts:
            if isinstance(one, ClassCounts):
                held = [one.counts.get(label, 0) for label in range(self._layout.spec.num_classes)]
                self._counts[one.client] = torch.tensor(held, dtype=torch.float64)

    def mix(self, step: StepId, messages: Mapping[int, Logits | Lost]) -> list[Logits]:
        """For each worker, the gradients of G's loss with respect to its clients' logits.

        Args:
            messages: worker -> its clients' logits.
        """
        arrived = {worker: m.values for worker, m in messages.items() if isinstance(m, Logits) and m.step == step}
        logits = {c: v for of_worker in arrived.values() for c, v in of_worker.items() if c in self._counts}
        (batch,) = self._batches
        gradients: dict[int, np.ndarray] = {}
        if logits:
            told = torch.stack([torch.tensor(values) for values in logits.values()]).requires_grad_()
            held = torch.stack([self._counts[client] for client in logits])[:, batch.labels.cpu()]
            mixed = mixed_logits(told, held)
            if len(mixed):
                self._loss.generator(mixed).backward()
            of_each = torch.zeros_like(told) if told.grad is None else told.grad
            gradients = dict(zip(logits, of_each.numpy(), strict=True))
        return [Logits(step, {c: gradients[c] for c in arrived.get(w, ()) if c in gradients}) for w in messages]

    def _labels(self, size: int) -> Tensor:
        """Even over the classes that the round's clients hold."""
        held = sum(self._counts.values(), torch.zeros(self._layout.spec.num_classes, dtype=torch.float64)) > 0
        classes = held.nonzero().flatten() if held.any() else torch.arange(len(held))
        return classes[torch.randint(len(classes), (size,), generator=self._noise)]


def mixed_logits(logits: Tensor, held: Tensor) -> Tensor:
    """Log Phi of the fakes whose class somebody holds.

    Args:
        logits: (J, B), of J discriminators.
        held: (J, B) images of the fake's class that the client of each discriminator holds.

    Returns:
        (B',) log sum_j exp(log pi_j + l_j), pi_j = held_j / sum_i held_i.
    """
    known = held.sum(0) > 0
    held = held[:, known]
    shares = (held / held.sum(0)).log().to(logits.dtype)
    return torch.logsumexp(shares + logits[:, known], dim=0)
