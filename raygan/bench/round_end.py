"""What a round costs besides its steps: clustering and weighting, aggregation, checkpoint."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping

from raygan.algorithms.base import Model, ServerState
from raygan.algorithms.huscf import HuscfGan
from raygan.bench.contenders import SplitContender
from raygan.parties.aggregator import ClusterAggregator, model_file
from raygan.parties.base import Server, Worker
from raygan.runtime.backend import Reference
from raygan.runtime.steps import Cohort, Epochs
from raygan.wire.records import Lost, Written


def end_round(contender: SplitContender, cohort: Cohort) -> dict[str, float]:
    """Ends a round whose steps are done, into a folder that is thrown away.

    Args:
        cohort: whether its number is one of the warm-up is up to the configuration.

    Returns:
        Seconds of `cluster_and_weigh`, `aggregate` and `checkpoint`.
    """
    federation, algorithm = contender.federation, contender.plan.algorithm
    assert isinstance(algorithm, HuscfGan)
    times = [time.perf_counter()]
    num_samples = federation.check_in(cohort, Epochs())
    assignment = algorithm.cluster_and_weigh(federation, cohort, num_samples)
    assignment, _ = algorithm.name_clusters(assignment, ServerState())
    times.append(time.perf_counter())
    models, _ = algorithm.aggregate(federation, assignment)
    times.append(time.perf_counter())
    with tempfile.TemporaryDirectory(prefix="raygan-bench-") as folder:
        _save(contender, models, folder)
        times.append(time.perf_counter())
    names = ("cluster_and_weigh", "aggregate", "checkpoint")
    return {name: times[n + 1] - times[n] for n, name in enumerate(names)}


def _save(contender: SplitContender, models: Mapping[int, Model], folder: str) -> None:
    backend, layout = contender.backend, contender.layout
    written: list[Reference[Written] | Reference[Written | Lost]] = []
    written += [server.call(Server.save, folder) for server in backend.servers]
    for worker, handle in backend.workers.items():
        written += handle.call_many(len(layout.workers[worker].clients), Worker.save, folder)
    for model, aggregator in zip(models.values(), backend.aggregators(len(models)), strict=True):
        file = f"{folder}/{model_file(str(model.identity))}"
        written.append(aggregator.call(ClusterAggregator.save, file, model.all_blocks))
    backend.fetch(written)
