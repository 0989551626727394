"""What a trial asks Ray for: one placement group, whose bundles are those of its actors."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from ray.tune import PlacementGroupFactory

from raygan.config.schema import ClusterConfig, Config, TrainingConfig
from raygan.errors import InputError
from raygan.run.plan import Plan, make_plan
from raygan.runtime.ray.capacity import place, shortage
from raygan.runtime.ray.cluster import is_ours
from raygan.runtime.ray.demand import ActorDemand, all_demands
from raygan.runtime.ray.nodes import find_autoscaler, live_nodes
from raygan.search.schema import TrialResources

PARTS = 10_000
"""Ray counts in 10,000ths of a CPU."""
Bundle = dict[str, float]
Trial = tuple[ActorDemand, ...]
"""What one trial asks for: the process that drives it, then each actor that asks for something."""


OF_STEPS = ("lr", "betas", "lr_schedule", "augment")
OF_CLUSTERS = ("beta", "warmup_rounds", "feature_batches")
"""Keys of `training` and `clusters` that no plan reads."""


def trial_demands(config: Config, resources: TrialResources, in_process: bool) -> Trial:
    """What a trial asks for; actors that ask for nothing run where there is room. Where `ray.placement` is `cpus`, the
    trial's CPUs are dealt evenly to its processes.

    Raises:
        InputError: data, networks or cuts that cannot be used.
    """
    plan = _planned(_federation(config))
    driver = ActorDemand("the trial's driver", resources.cpus_per_trial, resources.gpus_per_trial, {}, {})
    if in_process:
        return (driver,)
    actors = _asking(plan, plan.config)
    if config.ray.placement == "cpus":
        share = math.floor(resources.cpus_per_trial / (1 + len(actors)) * PARTS) / PARTS
        keys = {"cpus_per_actor": share, "memory_per_actor": 0}
        given = {key: value for key, value in keys.items() if getattr(config.ray, key) == "auto"}
        actors = _asking(plan, plan.config.model_copy(update={"ray": config.ray.model_copy(update=given)}))
        driver = replace(driver, num_cpus=share)
    return driver, *actors


def _asking(plan: Plan, config: Config) -> list[ActorDemand]:
    """The actors that ask for something."""
    return [demand for demand in all_demands(plan.algorithm.parties(), config) if demand.bundle]


def placement(config: Config, resources: TrialResources, in_process: bool) -> PlacementGroupFactory:
    """The placement group of a trial."""
    driver, *actors = trial_demands(config, resources, in_process)
    labels = [dict(demand.labels) for demand in (driver, *actors)]
    if not driver.bundle:
        labels = labels[1:]  # Ray drops an empty first bundle, so its labels must go too
    options = {"bundle_label_selector": labels} if any(labels) else {}
    bundles = [demand.bundle for demand in (driver, *actors)]
    return PlacementGroupFactory(bundles, strategy="PACK", **options)


def _federation(config: Config) -> str:
    """A configuration as JSON, without what no plan reads and what is searched most: most trials have the same actors."""
    plain_training, plain_clusters = TrainingConfig(), ClusterConfig()
    training = config.training.model_copy(update={key: getattr(plain_training, key) for key in OF_STEPS})
    clusters = config.clusters.model_copy(update={key: getattr(plain_clusters, key) for key in OF_CLUSTERS})
    same = config.model_copy(update={"seed": 0, "training": training, "clusters": clusters})
    return same.model_dump_json()


@lru_cache(maxsize=256)
def _planned(config: str) -> Plan:
    return make_plan(Config.model_validate_json(config))


def local_resources(trial: Mapping[str, float], concurrency: int, config: Config) -> Bundle:
    """What a Ray of our own declares so that `concurrency` trials fit; nothing for a cluster that is there.

    Raises:
        InputError: this machine has too few CPUs.
    """
    if not is_ours(config):
        return {}
    needs = {name: amount * concurrency for name, amount in trial.items()}
    cores = os.cpu_count() or 1
    if needs.get("CPU", 0) > cores:
        found = f"{concurrency} trials of {trial['CPU']:g} CPUs each need {needs['CPU']:g}, this machine has {cores}"
        raise InputError("concurrency", found, "lower concurrency or resources.cpus_per_trial")
    return {name: amount for name, amount in needs.items() if name not in ("CPU", "memory")}


def check_fit(trials: Iterable[Trial], concurrency: int) -> int:
    """Holds what trials ask for against the nodes that are there and those that the autoscaler may start.

    Returns:
        How many of the `concurrency` trials fit at a time, whichever they are.

    Raises:
        InputError: one does not fit, even alone.
    """
    nodes, autoscaler = live_nodes(), find_autoscaler()
    fitting = concurrency
    for trial in trials:
        if missing := place(trial, nodes, autoscaler).unplaced:
            error = shortage(missing[0], trial, nodes, autoscaler)
            if missing[0] is not trial[0]:
                raise error
            raise InputError("resources", error.found, "lower cpus_per_trial or gpus_per_trial, or add nodes")
        while place(trial * fitting, nodes, autoscaler).unplaced:
            fitting -= 1
    return fitting
