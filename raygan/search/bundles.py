"""What a trial asks Ray for: one placement group, whose bundles are those of its actors."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import lru_cache

import ray
from ray.tune import PlacementGroupFactory

from raygan.actors.demand import demands
from raygan.config.loading import cluster_address
from raygan.config.schema import ClusterConfig, Config, TrainingConfig
from raygan.errors import InputError
from raygan.search.schema import TrialResources
from raygan.training.plan import Plan, make_plan

Bundle = dict[str, float]


def trial_bundles(plan: Plan, resources: TrialResources) -> list[tuple[Bundle, dict[str, str]]]:
    """A bundle with the labels of its node, for the process that drives the trial and for each actor that asks for
    something; the others run where there is room."""
    head = {"CPU": resources.cpus_per_trial, "GPU": resources.gpus_per_trial}
    bundles: list[tuple[Bundle, dict[str, str]]] = [(head, {})]
    for demand in (demand for role in demands(plan.layout, plan.config).values() for demand in role):
        asked = {"CPU": demand.num_cpus, "GPU": demand.num_gpus, **demand.resources}
        asked = {name: float(amount) for name, amount in asked.items() if amount}
        if asked:
            bundles.append((asked, dict(demand.labels)))
    return bundles


def placement(config: Config, resources: TrialResources) -> PlacementGroupFactory:
    """The placement group of a trial."""
    bundles = trial_bundles(_planned(_federation(config)), resources)
    head_is_empty = not any(bundles[0][0].values())  # Ray then drops the bundle, so its labels must go too
    labels = [label for _, label in bundles[head_is_empty:]]
    options = {"bundle_label_selector": labels} if any(labels) else {}
    return PlacementGroupFactory([bundle for bundle, _ in bundles], strategy="PACK", **options)


def _federation(config: Config) -> str:
    """A configuration as JSON, without what changes nothing about its actors: most trials have the same ones."""
    training = TrainingConfig(batch_size=config.training.batch_size)
    clusters = ClusterConfig(count=config.clusters.count)
    same = config.model_copy(update={"seed": 0, "training": training, "clusters": clusters})
    return same.model_dump_json()


@lru_cache(maxsize=256)
def _planned(config: str) -> Plan:
    return make_plan(Config.model_validate_json(config))


def trial_needs(config: Config, resources: TrialResources) -> Bundle:
    """The sum of what a trial asks for, by resource.

    Raises:
        InputError: data, networks or cuts that cannot be used.
    """
    total: Bundle = {}
    for bundle, _ in trial_bundles(_planned(_federation(config)), resources):
        for name, amount in bundle.items():
            total[name] = total.get(name, 0.0) + amount
    return {name: amount for name, amount in total.items() if amount}


def most(needs: Iterable[Mapping[str, float]]) -> Bundle:
    """The most that any trial asks for, by resource."""
    total: Bundle = {}
    for need in needs:
        for name, amount in need.items():
            total[name] = max(total.get(name, 0.0), amount)
    return total


def local_resources(trial: Mapping[str, float], concurrency: int, config: Config) -> Bundle:
    """What a Ray of our own declares so that `concurrency` trials fit; nothing for a cluster that is there.

    Raises:
        InputError: this machine has too few CPUs.
    """
    if cluster_address(config) is not None or ray.is_initialized():
        return {}
    needs = {name: amount * concurrency for name, amount in trial.items()}
    cores = os.cpu_count() or 1
    if needs.get("CPU", 0) > cores:
        found = f"{concurrency} trials of {trial['CPU']:g} CPUs each need {needs['CPU']:g}, this machine has {cores}"
        raise InputError("concurrency", found, "lower concurrency or resources.cpus_per_trial")
    return {name: amount for name, amount in needs.items() if name != "CPU"}


def check_fit(trial: Mapping[str, float], concurrency: int) -> int:
    """Compares what trials ask for with what the cluster has.

    Returns:
        How many of the `concurrency` trials fit at a time.

    Raises:
        InputError: not one fits: naming the resource, what is needed and what is there.
    """
    there = ray.cluster_resources()
    fitting = concurrency
    for name, amount in trial.items():
        if there.get(name, 0.0) < amount:
            found = f"one trial needs {amount:g}, the cluster has {there.get(name, 0.0):g}"
            remedy = "add nodes that declare it, or make the federation smaller"
            raise InputError(f"Ray resource {name!r}", found, remedy)
        fitting = min(fitting, int(there[name] // amount))
    return fitting
