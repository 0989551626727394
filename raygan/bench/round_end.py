"""What a round costs besides its steps: clustering and weighting, aggregation, checkpoint."""

from __future__ import annotations

import tempfile
import time

from raygan.algorithms.huscf import Averages, Epochs, RoundPlan, aggregate, check_in, cluster_and_weigh
from raygan.parties.aggregator import cluster_file
from raygan.runtime.backend import Group
from raygan.split.layout import Layout


def end_round(group: Group, layout: Layout, plan: RoundPlan) -> dict[str, float]:
    """Ends a round whose steps are done, into a folder that is thrown away.

    Args:
        plan: whether its number is one of the warm-up is up to the configuration.

    Returns:
        Seconds of `cluster_and_weigh`, `aggregate` and `checkpoint`.
    """
    times = [time.perf_counter()]
    num_samples = check_in(group, layout, plan, Epochs())
    assignment = cluster_and_weigh(group, plan.number, num_samples)
    times.append(time.perf_counter())
    averages, _ = aggregate(group, layout, assignment)
    times.append(time.perf_counter())
    with tempfile.TemporaryDirectory(prefix="raygan-bench-") as folder:
        _save(group, layout, averages, folder)
        times.append(time.perf_counter())
    names = ("cluster_and_weigh", "aggregate", "checkpoint")
    return {name: times[n + 1] - times[n] for n, name in enumerate(names)}


def _save(group: Group, layout: Layout, averages: dict[int, Averages], folder: str) -> None:
    written = [group.body.call("save", folder)]
    for worker, handle in group.workers.items():
        written += handle.call_many("save", len(layout.workers[worker].clients), folder)
    for (cluster, blocks), aggregator in zip(averages.items(), group.aggregators(len(averages)), strict=True):
        written.append(aggregator.call("save", f"{folder}/{cluster_file(cluster)}", list(blocks.values())))
    group.fetch(written)
