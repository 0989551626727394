"""FedGAN (Rasouli, Sun, Rajagopal 2020, arXiv 2006.07228): both networks on every client, averaged now and then.

Every client trains a G and a D of its own for N steps (`fed_gan.sync_every`; None: for the round's local epochs), then
an intermediary replaces both by their averages,

    theta = sum_k p_k theta_k,   p_k = n_k / sum_j n_j,   n_k images of client k

BatchNorm's buffers are averaged with the weights; optimizers stay with their clients. One model serves everybody: where
domains share the labels' numbers, a "3" is half a digit and half a dress.

What leaves a client in a sync, and comes back: G and D, 4 (|G| + |D| + buffers) bytes each way.
"""

from __future__ import annotations

from collections.abc import Mapping

from raygan.algorithms.averaging import begin_averages, hand_secret, load, take_over
from raygan.algorithms.base import Back, Model, RoundResult, ServerState, Task
from raygan.algorithms.whole import WholeAlgorithm
from raygan.config.schema import FedGanConfig
from raygan.parties.base import Server
from raygan.runtime.backend import Reference
from raygan.runtime.federation import Federation
from raygan.runtime.steps import Cohort, Epochs
from raygan.whole.averaged import AveragedWholeClients
from raygan.wire.records import Lost

Whole = Federation[AveragedWholeClients, Server]


class FedGan(WholeAlgorithm[AveragedWholeClients]):
    """One model for all, each client weighed by its number of images."""

    name = "fed_gan"
    averages_clients = True
    discloses = None
    worker_type = AveragedWholeClients

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._settings = task.config.fed_gan or FedGanConfig()

    def round(self, federation: Whole, state: ServerState, cohort: Cohort) -> RoundResult:
        """Local steps and an average, again and again until the local epochs are over."""
        epochs, done = federation.begin_round(cohort), 0
        every = self._settings.sync_every or max(cohort.num_steps, 1)
        for step in (*range(every, cohort.num_steps, every), cohort.num_steps):
            federation.train(cohort, range(done, step), self.submitter(federation), epochs)
            model, done = self.sync(federation, cohort, epochs), step
        serves = dict.fromkeys(self.layout.ids, model.identity)
        return RoundResult(cohort, epochs, ServerState(serves=serves, num_models=1), {model.identity: model})

    def sync(self, federation: Whole, cohort: Cohort, epochs: Epochs) -> Model:
        """The average of those who are there, which they take over. The work of a lost aggregator is done again.

        Raises:
            RoundLost: none is left, or the average was lost again and again.
            StoppedError: they are too few.
        """
        num_samples = federation.check_in(cohort, epochs)
        averages = begin_averages(
            federation, self.layout, num_samples, AveragedWholeClients.states, self._config.privacy
        )
        weights = dict(zip(num_samples, self.weights(num_samples), strict=True))

        def averaged() -> tuple[Model, dict[int, Lost]]:
            (aggregator,) = federation.aggregators(1)
            model = Model(0, tuple(num_samples), averages.average(aggregator, self.keys, weights))
            return model, load(federation, self.layout, [model], self.keys)

        model, lost = federation.averaged(averaged)
        epochs.lost.update(lost)
        averages.take_stock()
        epochs.faults += averages.faults
        return model

    def prepare(self, federation: Whole) -> None:
        """Where D is hidden, the clients agree on their secret."""
        hand_secret(federation, self._config.privacy)

    def rejoin(self, federation: Whole, result: RoundResult, back: Back) -> Reference[Lost | None]:
        """Who was late, lost or not drawn takes over the average."""
        hand_secret(federation, self._config.privacy)
        (model,) = result.models.values()
        return take_over(federation, self.layout, back.worker, dict.fromkeys(back.clients, model), self.keys)

    def weights(self, num_samples: Mapping[int, int]) -> list[float]:
        """p_k of each client, from client -> n_k."""
        return [count / sum(num_samples.values()) for count in num_samples.values()]
