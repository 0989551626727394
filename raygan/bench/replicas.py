"""What several replicas of the body (`ray.body_replicas`) bring and cost, on the machines that are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any

from raygan.bench.contenders import Slice
from raygan.bench.document import settings_document
from raygan.bench.run import Tell, bench_plan, measured_federations
from raygan.bench.settings import BenchOptions
from raygan.bench.statistics import ratios, spread
from raygan.config.schema import Config
from raygan.run.plan import Plan
from raygan.simulation.threads import server_threads
from raygan.wire.records import Usage


def run_replicas(config: Config, options: BenchOptions, counts: Sequence[int], tell: Tell) -> dict[str, Any]:
    """Measures the actors for several numbers of replicas in alternation; all else is equal, but torch's threads of a
    body where `ray.body_threads` leaves them to raygan.

    Args:
        tell: called with a line of progress now and then.

    Returns:
        The document of `raygan bench --replicas --json`.

    Raises:
        InputError: options or data that cannot be used, or more replicas than client actors.
    """
    plans = {str(count): bench_plan(with_replicas(config, count), options) for count in counts}
    with measured_federations(plans, config, options, tell) as (contenders, slices):
        usage = {name: contender.usage() for name, contender in contenders.items()}
    return replicas_document(plans, slices, usage)


def with_replicas(config: Config, count: int) -> Config:
    """The same with so many."""
    return config.model_copy(update={"ray": config.ray.model_copy(update={"body_replicas": count})})


def replicas_document(
    plans: Mapping[str, Plan], slices: Mapping[str, Sequence[Slice]], usage: Mapping[str, Mapping[str, Usage]]
) -> dict[str, Any]:
    """One entry for each number of replicas, in order; speeds against the first entry's.

    Args:
        slices: number of replicas -> one slice a repeat.
        usage: number of replicas -> actor -> what it uses in the end.
    """
    first = next(iter(plans))
    speeds = {name: [s.images_per_s for s in done] for name, done in slices.items()}
    rows = [
        {
            "replicas": plan.config.ray.body_replicas,
            "body_threads": server_threads(plan.config),
            "images_per_s": spread(speeds[name]),
            "of_first": spread(ratios(speeds[name], speeds[first])),
            "step_seconds": spread([s.step_s for s in slices[name]]),
            "step_cpu_seconds": spread([s.cpu_s / s.num_steps for s in slices[name]]),
            "exchange_seconds": spread([exchange_s(s) for s in slices[name]]),
            "exchanged_bytes": spread([exchanged_bytes(s) for s in slices[name]]),
            "body_memory_bytes": sum(used.memory_bytes for actor, used in usage[name].items() if is_body(actor)),
        }
        for name, plan in plans.items()
    ]
    return {"settings": settings_document(plans[first], slices), "replicas": rows}


def exchange_s(measured: Slice) -> float:
    """Seconds of a step that a replica exchanges numbers with others or waits for them, in the mean."""
    return mean(after.exchange_s - before.exchange_s for before, after in _bodies(measured)) / measured.num_steps


def exchanged_bytes(measured: Slice) -> float:
    """Bytes that all replicas together send each other in a step."""
    return (
        sum(after.exchanged_bytes - before.exchanged_bytes for before, after in _bodies(measured)) / measured.num_steps
    )


def is_body(actor: str) -> bool:
    """Whether that is the body's name, or a replica's."""
    return actor.partition("-")[0] == "body"


def _bodies(measured: Slice) -> list[tuple[Usage, Usage]]:
    """What each replica had used before and after."""
    return [usage for actor, usage in measured.usage.items() if is_body(actor)]
