"""Federated split GAN (Kortoci, Liang, Zhou, Lee, Mansha, Cao, Hui, Bhatt 2022, arXiv 2207.01750): one G on a server, a D
on each client, averaged after each epoch.

In each step all clients get the same fakes X. G's loss is the sum over clients (K of them), of each D as it is before its
update on X and the client's own minibatch,

    dG = sum_n F_n dX/dG,   F_n = d L_G(D_n(X)) / d X

and at the end of an epoch every D is replaced by their mean, theta = 1/K sum_n theta_n. In the paper each D is cut over
the devices that a client has at home: that changes where its numbers are computed, not the numbers, so here it is whole.
The labels of fakes are even over all classes, since nobody tells the server which a client has. One model serves
everybody: where domains share the labels' numbers, a "3" is half a digit and half a dress.

What leaves a client: F_n, 4 b d bytes a step (b batch, d floats of an image), and D, 4 (|D| + buffers) bytes an epoch.
What comes: b (4 d + 8) bytes of fakes and labels a step, and D an epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from raygan.algorithms.averaging import begin_averages, hand_secret, load, take_over
from raygan.algorithms.base import Back, Model, RoundResult
from raygan.algorithms.served import ServedAlgorithm
from raygan.runtime.averages import Averages
from raygan.runtime.backend import Reference
from raygan.runtime.federation import Federation
from raygan.runtime.steps import Cohort, Epochs
from raygan.served.foresight import ForesightClients
from raygan.served.server import GeneratorServer
from raygan.wire.records import Lost

Served = Federation[ForesightClients, GeneratorServer]


class FedSplitGan(ServedAlgorithm[ForesightClients, GeneratorServer]):
    """One discriminator for all, from epoch to epoch."""

    name = "fed_split_gan"
    averages_clients = True
    discloses = None
    compares_logits = False
    worker_type = ForesightClients

    def server(self) -> Callable[..., GeneratorServer]:
        """Makes the server, given its device."""
        return partial(GeneratorServer, self.layout, self._config, 1, "sum")

    def end_epoch(self, federation: Served, cohort: Cohort, epochs: Epochs, number: int) -> Averages:
        """The mean of the discriminators, which all take over. The work of a lost aggregator is done again."""
        present, keys = federation.check_in(cohort, epochs), self.discriminator_keys
        averages = begin_averages(federation, self.layout, present, ForesightClients.states, self._config.privacy)
        weights = dict.fromkeys(present, 1 / len(present))

        def averaged() -> tuple[Model, dict[int, Lost]]:
            (aggregator,) = federation.aggregators(1)
            model = Model(0, tuple(present), averages.average(aggregator, keys, weights))
            return model, load(federation, self.layout, [model], keys)

        model, lost = federation.averaged(averaged)
        epochs.lost.update(lost)
        averages.take_stock()
        epochs.faults += averages.faults
        return model.blocks

    def prepare(self, federation: Served) -> None:
        """Where D is hidden, the clients agree on their secret."""
        hand_secret(federation, self._config.privacy)

    def rejoin(self, federation: Served, result: RoundResult, back: Back) -> Reference[Lost | None]:
        """Who was late, lost or not drawn takes over the mean."""
        hand_secret(federation, self._config.privacy)
        (model,) = result.models.values()
        return take_over(
            federation, self.layout, back.worker, dict.fromkeys(back.clients, model), self.discriminator_keys
        )
