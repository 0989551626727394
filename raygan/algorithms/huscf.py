"""HuSCF-GAN: KLD-weighted clustered federated learning plus heterogeneous U-shaped split learning (arXiv 2507.12979).

A round, in the paper's words: local epochs of split steps (`raygan.step`), then the server clusters the clients by
their activations at the anchor block, weighs them by how close they are to their cluster, and one aggregator a
cluster averages their blocks; where a client lacks a block, it counts with the body's. Each client takes over its
cluster's average of the blocks that it holds, the body the average over all clients.

`cuts.bodies: clusters` (not the paper's) gives every cluster a body of its own after the warm-up: where a client of the
cluster lacks a block, it counts with that body's, and that body takes over the cluster's average.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from raygan.algorithms.averaging import ClientAverages, begin_averages, hand_secret, tell_once
from raygan.algorithms.base import Algorithm, Back, Document, Model, RoundResult, ServerState, Task
from raygan.algorithms.clusters import cluster_line, cluster_measures, members, name_clusters
from raygan.cuts.fleet import Fleet, FleetCost
from raygan.cuts.planner import fleet_of
from raygan.errors import ConfigError
from raygan.parties.spec import Parties
from raygan.runtime.backend import Reference
from raygan.runtime.steps import Cohort, Submitted, needed
from raygan.split.body import SharedBody
from raygan.split.layout import Layout
from raygan.split.plan import SplitPlan, plan_split
from raygan.split.replication import merged_assignments
from raygan.split.submit import Split, body_state, load_averages, rejoin, train_step
from raygan.split.worker import SplitClients
from raygan.wire.records import Assignment, Lost, StepId


class HuscfGan(Algorithm[SplitClients, SharedBody]):
    """The method."""

    name = "huscf"
    discloses = "activations of its images"
    worker_type = SplitClients
    model_kind = "cluster"
    cuts_discriminators = True
    averages_clients = True
    record_names = ("clusters",)
    reads = frozenset(
        {"clusters", "cuts", "wire", "devices.emulate", "training.fake_labels", "ray.body_replicas"}
        | {"ray.body_pipeline", "privacy.distance_correlation", "privacy.activation_noise"}
    )
    layout: Layout

    def __init__(self, split: SplitPlan) -> None:
        self.split, self.layout = split, split.layout

    @classmethod
    def plan(cls, task: Task) -> HuscfGan:
        """Chooses every client's cuts."""
        config, clients, heads = task.config, task.clients, task.least_heads
        return cls(plan_split(config, clients, task.spec, task.clients_per_actor, task.documents, heads))

    @property
    def documents(self) -> Mapping[str, Document]:
        """`cuts.json`: cuts per client, predicted latency with its parts, the solver and its proof."""
        plan = self.split.cuts.to_json()
        clients = zip(self.layout.ids, plan["clients"], strict=True)
        return {"cuts": {**plan, "clients": [{**entry, "client": client} for client, entry in clients]}}

    @property
    def cost(self) -> FleetCost:
        """As planned."""
        plan = self.split.cuts
        return Fleet(*plan.problem.costs, *fleet_of(self.split.config)).split(plan.latency_s, plan.cuts)

    def parties(self) -> Parties:
        """A worker for each device, and the shared body."""
        return self.split.parties()

    def round(self, federation: Split, state: ServerState, cohort: Cohort) -> RoundResult:
        """Local epochs, cluster, weigh, aggregate."""

        def split_step(step: StepId, without: Collection[int]) -> Submitted:
            return train_step(federation, self.layout, step, without)

        epochs = federation.local_epochs(cohort, split_step)
        num_samples = federation.check_in(cohort, epochs)
        assignment = self.cluster_and_weigh(federation, cohort, num_samples)
        told, everybody = state.told, self.layout.ids
        assignment, state = name_clusters(assignment, state, everybody)
        models, lost, averages = self.aggregate(federation, assignment, state.serves)
        epochs.lost.update(lost)
        state, notes = tell_once(state, told, averages.unsummed)
        records = {"clusters": cluster_line(cohort.round, assignment)}
        return RoundResult(cohort, epochs, state, models, records, (*assignment.faults, *averages.faults, *notes))

    def cluster_and_weigh(self, federation: Split, cohort: Cohort, num_samples: Mapping[int, int]) -> Assignment:
        """The body clusters and weighs the clients by its anchor activations: nothing new leaves a client."""
        found = federation.fetch(federation.of_all_servers(SharedBody.assign, cohort.round, dict(num_samples)))
        return merged_assignments([needed(assignment, "round_end") for assignment in found])

    def aggregate(
        self, federation: Split, assignment: Assignment, serves: Mapping[int, int]
    ) -> tuple[dict[int, Model], dict[int, Lost], ClientAverages]:
        """Each cluster's average goes to its members, block by block; the body takes the average over all, or each of its
        trunks its cluster's. The work of an aggregator that is lost over it is done again.

        Args:
            serves: client -> its cluster from now on, of all clients.

        Returns:
            Cluster -> model; worker -> why, of those that were lost before they had theirs; and what averages are of.

        Raises:
            RoundLost: the body was lost, or a client whose state was not out yet.
        """
        clusters, config = members(assignment), self.split.config
        averages = begin_averages(federation, self.layout, assignment.cluster, SplitClients.state, config.privacy)
        own = config.cuts.bodies == "clusters"
        bodies = (
            {number: body_state(federation, self.layout, number, clients) for number, clients in clusters.items()}
            if own
            else dict.fromkeys(clusters, body_state(federation, self.layout))
        )

        def aggregated() -> tuple[dict[int, Model], dict[int, Lost]]:
            aggregators = federation.aggregators(len(clusters) + (not own))
            models: dict[int, Model] = {}
            for (cluster, clients), aggregator in zip(clusters.items(), aggregators, strict=False):
                weights = {client: assignment.weight[client] for client in clients}
                blocks = averages.average(aggregator, self.layout.all_blocks, weights, bodies[cluster])
                models[cluster] = Model(cluster, tuple(clients), blocks)
            of_all = None
            if not own:
                weights = {client: assignment.body_weight[client] for client in sorted(assignment.cluster)}
                some_body = next(iter(bodies.values()))
                of_all = averages.average(aggregators[-1], self.layout.body_held, weights, some_body)
            found = {cluster: model.blocks for cluster, model in models.items()}
            return models, load_averages(federation, self.layout, assignment.cluster, found, serves, of_all)

        models, lost = federation.averaged(aggregated)
        averages.take_stock()
        return models, lost, averages

    def prepare(self, federation: Split) -> None:
        """Where D is hidden, the clients agree on their secret."""
        hand_secret(federation, self.split.config.privacy)

    def rejoin(self, federation: Split, result: RoundResult, back: Back) -> Reference[Lost | None]:
        """They take over their clusters' averages, and their optimizers begin anew."""
        hand_secret(federation, self.split.config.privacy)
        serves = {client: result.state.serves[client] for client in back.clients}
        models = {cluster: model.blocks for cluster, model in result.models.items()}
        return rejoin(federation, self.layout, back.worker, serves, models)

    def measures(self, result: RoundResult, domains: Mapping[int, int]) -> Document:
        """Clusters, and whether they are the domains."""
        return cluster_measures(result.served, domains)


def split_plan(algorithm: Algorithm[Any, Any]) -> SplitPlan:
    """The split federation of an algorithm that has one.

    Raises:
        ConfigError: it has none.
    """
    if not isinstance(algorithm, HuscfGan):
        raise ConfigError("algorithm", f"{algorithm.name!r} splits no networks", "use huscf")
    return algorithm.split
