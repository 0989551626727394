"""FedGAN inside the method's clusters: what clustering and weights earn without the split. No paper's: an ablation.

Every client trains a G and a D of its own for the round's local epochs. Then they are clustered and weighed as the method
does it (arXiv 2507.12979: anchor activations, KLD weights, warm-up), each by its own discriminator, and both networks
are averaged inside each cluster C,

    theta_C = sum_{k in C} w_k theta_k,   w_k = n_k exp(-beta KLD_k) / sum over C

BatchNorm's buffers are averaged with the weights; optimizers stay with their clients.

What leaves a client in a round, and comes back: G and D, 4 (|G| + |D| + buffers) bytes each way; beside it, once up, the
mean of its anchor activation, 4 C H W bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from raygan.algorithms.averaging import ClientAverages, begin_averages, hand_secret, load, take_over
from raygan.algorithms.base import Back, Document, Model, RoundResult, ServerState
from raygan.algorithms.clusters import cluster_line, cluster_measures, members, name_clusters
from raygan.algorithms.whole import WholeAlgorithm
from raygan.config.schema import ClusterConfig
from raygan.federated.assignment import cluster_and_weigh
from raygan.parties.aggregator import ClusterAggregator
from raygan.parties.base import Server
from raygan.runtime.averages import workers_of
from raygan.runtime.backend import Reference, together
from raygan.runtime.federation import Federation
from raygan.runtime.steps import Cohort, needed
from raygan.secure import least_members
from raygan.whole.observed import ObservedClients
from raygan.wire.records import AnchorMap, Assignment, Lost

Observed = Federation[ObservedClients, Server]


class ClusteredFedGan(WholeAlgorithm[ObservedClients]):
    """One model for each cluster."""

    name = "clustered_fed_gan"
    averages_clients = True
    discloses = "the mean of its images' activations"
    model_kind = "cluster"
    record_names = ("clusters",)
    reads = frozenset({"clusters", "devices.emulate", "training.fake_labels"})
    worker_type = ObservedClients

    @property
    def settings(self) -> ClusterConfig:
        """How clients are clustered and weighed."""
        return self._config.clusters

    def round(self, federation: Observed, state: ServerState, cohort: Cohort) -> RoundResult:
        """Local epochs, cluster, weigh, average. The work of a lost aggregator is done again."""
        epochs = self.local_epochs(federation, cohort)
        num_samples = federation.check_in(cohort, epochs)
        averages = begin_averages(federation, self.layout, num_samples, ObservedClients.states, self._config.privacy)
        maps = self._anchor_maps(federation, num_samples)
        found = federation.averaged(lambda: self.cluster_and_weigh(federation, cohort, num_samples, maps))
        assignment, state = name_clusters(found, state, self.layout.ids)
        models, lost = federation.averaged(lambda: self._averaged(federation, cohort, assignment, averages))
        epochs.lost.update(lost)
        averages.take_stock()
        records = {"clusters": cluster_line(cohort.round, assignment)}
        return RoundResult(cohort, epochs, state, models, records, (*assignment.faults, *averages.faults))

    def cluster_and_weigh(
        self,
        federation: Observed,
        cohort: Cohort,
        num_samples: Mapping[int, int],
        maps: Mapping[int, Reference[AnchorMap | Lost]],
    ) -> Assignment:
        """An aggregator clusters and weighs the clients by their anchor activations."""
        group = partial(
            cluster_and_weigh,
            num_samples=num_samples,
            settings=self.settings,
            seed=self._config.seed,
            round_number=cohort.round,
            domains=self.layout.domains,
            least_members=least_members(self._config.privacy),
        )
        (aggregator,) = federation.aggregators(1)
        told = together([maps[client] for client in num_samples])
        (assignment,) = federation.fetch([aggregator.call(ClusterAggregator.assign, group, told)])
        return needed(assignment, "round_end", "aggregator")

    def averages(self, cohort: Cohort, assignment: Assignment) -> dict[int, Mapping[int, float]]:
        """Cluster -> the clients over which its model is averaged, with their weights."""
        return {
            cluster: {client: assignment.weight[client] for client in clients}
            for cluster, clients in members(assignment).items()
        }

    def prepare(self, federation: Observed) -> None:
        """Where D is hidden, the clients agree on their secret."""
        hand_secret(federation, self._config.privacy)

    def rejoin(self, federation: Observed, result: RoundResult, back: Back) -> Reference[Lost | None]:
        """Who was late, lost or not drawn takes over its cluster's average."""
        hand_secret(federation, self._config.privacy)
        model_of = {client: result.models[result.state.serves[client]] for client in back.clients}
        return take_over(federation, self.layout, back.worker, model_of, self.keys)

    def measures(self, result: RoundResult, domains: Mapping[int, int]) -> Document:
        """Clusters, and whether they are the domains."""
        return cluster_measures(result.served, domains)

    def _anchor_maps(
        self, federation: Observed, num_samples: Mapping[int, int]
    ) -> dict[int, Reference[AnchorMap | Lost]]:
        maps: dict[int, Reference[AnchorMap | Lost]] = {}
        for worker in workers_of(federation, self.layout, num_samples):
            ids = self.layout.workers[worker].ids
            maps |= zip(ids, federation.workers[worker].call_many(len(ids), ObservedClients.anchor_maps), strict=True)
        return maps

    def _averaged(
        self, federation: Observed, cohort: Cohort, assignment: Assignment, averages: ClientAverages
    ) -> tuple[dict[int, Model], dict[int, Lost]]:
        """Cluster -> model, and the workers that were lost before they had theirs."""
        over, clusters = self.averages(cohort, assignment), members(assignment)
        models: dict[int, Model] = {}
        for (cluster, clients), aggregator in zip(clusters.items(), federation.aggregators(len(clusters)), strict=True):
            blocks = averages.average(aggregator, self.keys, over[cluster])
            models[cluster] = Model(cluster, tuple(clients), blocks)
        return models, load(federation, self.layout, models.values(), self.keys)
