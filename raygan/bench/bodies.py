"""What a body of several actors brings and costs on the machines that are there: replicas of it (`ray.body_replicas`) or
sections (`ray.body_pipeline`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Any, Literal

from raygan.bench.contenders import Slice
from raygan.bench.document import settings_document
from raygan.bench.run import Tell, bench_plan, measured_federations
from raygan.bench.settings import BenchOptions
from raygan.bench.statistics import ratios, spread
from raygan.config.schema import Config
from raygan.run.plan import Plan
from raygan.simulation.threads import server_threads
from raygan.wire.records import Usage

Several = Literal["replicas", "sections"]
SETTINGS: dict[Several, str] = {"replicas": "body_replicas", "sections": "body_pipeline"}
"""The key of `ray` that says how many."""


def run_bodies(
    config: Config, options: BenchOptions, several: Several, counts: Sequence[int], tell: Tell
) -> dict[str, Any]:
    """Measures the actors for several numbers of replicas or sections in alternation; all else is equal, but torch's
    threads of a body where `ray.body_threads` leaves them to raygan.

    Args:
        tell: called with a line of progress now and then.

    Returns:
        The document of `raygan bench --replicas --json`, or of `--sections`.

    Raises:
        InputError: options or data that cannot be used, or more replicas than client actors, or sections than blocks.
    """
    plans = {str(count): bench_plan(with_bodies(config, several, count), options) for count in counts}
    with measured_federations(plans, config, options, tell) as (contenders, slices):
        usage = {name: contender.usage() for name, contender in contenders.items()}
        if several == "replicas":
            between = exchanges(slices)
        else:
            between = [{"carried_bytes": contender.carried_bytes()} for contender in contenders.values()]
    rows = bodies_rows(plans, slices, usage)
    first = next(iter(plans))
    numbered = zip(counts, rows, between, strict=True)
    return {
        "settings": settings_document(plans[first], slices),
        several: [{several: count, **row, **more} for count, row, more in numbered],
    }


def with_bodies(config: Config, several: Several, count: int) -> Config:
    """The same with so many."""
    return config.model_copy(update={"ray": config.ray.model_copy(update={SETTINGS[several]: count})})


def bodies_rows(
    plans: Mapping[str, Plan], slices: Mapping[str, Sequence[Slice]], usage: Mapping[str, Mapping[str, Usage]]
) -> list[dict[str, Any]]:
    """One entry for each number of actors, in order; speeds against the first entry's.

    Args:
        slices: number of actors -> one slice a repeat.
        usage: number of actors -> actor -> what it uses in the end.
    """
    first = next(iter(plans))
    speeds = {name: [s.images_per_s for s in done] for name, done in slices.items()}
    return [
        {
            "body_threads": server_threads(plan.config),
            "images_per_s": spread(speeds[name]),
            "of_first": spread(ratios(speeds[name], speeds[first])),
            "step_seconds": spread([s.step_s for s in slices[name]]),
            "step_cpu_seconds": spread([s.cpu_s / s.num_steps for s in slices[name]]),
            "body_memory_bytes": sum(used.memory_bytes for actor, used in usage[name].items() if is_body(actor)),
        }
        for name, plan in plans.items()
    ]


def exchanges(slices: Mapping[str, Sequence[Slice]]) -> list[dict[str, Any]]:
    """What replicas exchange in a step, for each number of them, in order."""
    return [
        {
            "exchange_seconds": spread([exchange_s(s) for s in done]),
            "exchanged_bytes": spread([exchanged_bytes(s) for s in done]),
        }
        for done in slices.values()
    ]


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
