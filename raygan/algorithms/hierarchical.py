"""Hierarchical FedGAN, in the style of HFL-GAN (Petch 2024), whose rule is not published in what we have.

Clients are clustered as in `clustered_fed_gan`, their edge servers. FedGAN runs inside each cluster C, round after round,
and over all clients each R-th round (`hierarchical.global_every`),

    theta_C = sum_{k in C} n_k theta_k / sum_{k in C} n_k;   each R-th round over all k, for every cluster alike

What leaves a client is what leaves it in `clustered_fed_gan`.
"""

from __future__ import annotations

from collections.abc import Mapping

from raygan.algorithms.base import Task
from raygan.algorithms.clustered_fed_gan import ClusteredFedGan
from raygan.algorithms.clusters import members
from raygan.config.schema import ClusterConfig, HierarchicalConfig
from raygan.runtime.steps import Cohort
from raygan.wire.records import Assignment


class Hierarchical(ClusteredFedGan):
    """One model for each cluster, and now and then the same for all."""

    name = "hierarchical"
    style = "HFL-GAN-style"

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._global_every = (task.config.hierarchical or HierarchicalConfig()).global_every

    @property
    def settings(self) -> ClusterConfig:
        """Weights are by the number of images alone."""
        return self._config.clusters.model_copy(update={"beta": 0.0})

    def averages(self, cohort: Cohort, assignment: Assignment) -> dict[int, Mapping[int, float]]:
        """Cluster -> the clients over which its model is averaged, with their weights."""
        if (cohort.round + 1) % self._global_every:
            return super().averages(cohort, assignment)
        return dict.fromkeys(members(assignment), assignment.body_weight)
