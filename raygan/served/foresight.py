"""Clients that judge fakes before they learn from them."""

from __future__ import annotations

from torch import Tensor

from raygan.nn.trained import DiscriminatorUpdate
from raygan.parties.data_owner import Minibatch
from raygan.served.batch import FakeBatch
from raygan.served.worker import ServedClient, ServedClients


class ForesightClients(ServedClients):
    """One or several clients."""

    def _judged(
        self, client: ServedClient, to_learn: FakeBatch, to_judge: FakeBatch, real: Minibatch
    ) -> tuple[DiscriminatorUpdate, Tensor, Tensor]:
        """D's update, G's loss through D as it was before it, and its gradient."""
        loss, gradient = client.feedback(to_judge, real.transform)
        return client.learn(to_learn, real), loss, gradient
