"""The bench itself: what to measure with which settings, and the document that comes of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd
import psutil

from raygan.algorithms.huscf import split_plan
from raygan.bench.contenders import Contender, Slice, SplitContender
from raygan.bench.document import bench_document, scale_document
from raygan.bench.settings import MOST_STEPS, BenchOptions, bench_config, long_rounds
from raygan.bench.statistics import Stopwatch, rotated
from raygan.bench.unsplit import Unsplit
from raygan.config.loading import absolute_paths
from raygan.config.schema import Config
from raygan.parties.evaluator import Evaluator
from raygan.run.plan import Plan, make_plan
from raygan.run.scoring import evaluator_plan
from raygan.runtime.in_process import InProcessBackend
from raygan.runtime.ray.backend import RayBackend
from raygan.runtime.ray.cluster import ray_with
from raygan.runtime.ray.demand import required

WARM_UP_STEPS = 2
ROUND_ENDS = 3
Tell = Callable[[str], None]


def run_bench(config: Config, options: BenchOptions, tell: Tell) -> dict[str, Any]:
    """Measures the three contenders in alternation.

    Args:
        tell: called with a line of progress now and then.

    Returns:
        The document of `raygan bench --json`.

    Raises:
        InputError: options or data that cannot be used.
    """
    watch = Stopwatch()
    watch.laps["import"] = time.time() - psutil.Process().create_time()  # since this process began
    plan = bench_plan(config, options)
    watch.lap("plan")
    with ExitStack() as until_exit:
        needs = required(plan.algorithm.parties(), plan.config)
        until_exit.enter_context(ray_with(needs, plan.config, "raygan-bench"))
        watch.lap("ray")
        actors = SplitContender(plan, until_exit.enter_context(closing(actors_of(plan))))
        watch.lap("actors")
        actors.run(1)
        watch.lap("first_step")
        tell(f"first step after {sum(watch.laps.values()):.1f} s; building the others")
        contenders = _contenders(plan, actors)
        num_steps = warm_up(contenders, options.seconds)
        slices = measure(contenders, dict.fromkeys(contenders, num_steps), options.repeats, tell)
        usage = actors.usage()
        ends = [actors.end_round()[0] for _ in range(ROUND_ENDS)]
    most = max(held.num_images for held in plan.holdings)  # in a round as configured, not in the bench's long ones
    steps = config.training.local_epochs * max(1, most // plan.config.training.batch_size)
    return bench_document(plan, steps, slices, usage, watch.laps, ends)


def run_scale(config: Config, options: BenchOptions, counts: Sequence[int], tell: Tell) -> dict[str, Any]:
    """Measures the actors for several numbers of clients in alternation; arguments and errors as `run_bench`."""
    plans = {str(count): bench_plan(config, replace(options, clients=count)) for count in counts}
    with measured_federations(plans, config, options, tell) as (contenders, slices):
        usage = {name: contender.usage() for name, contender in contenders.items()}
        ends = {name: [contender.end_round() for _ in range(ROUND_ENDS)] for name, contender in contenders.items()}
    return scale_document(plans, slices, usage, ends)


@contextmanager
def measured_federations(
    plans: Mapping[str, Plan], config: Config, options: BenchOptions, tell: Tell
) -> Iterator[tuple[dict[str, SplitContender], dict[str, list[Slice]]]]:
    """The actors of several plans, all there at once, and what was measured of them in alternation."""
    demands = [required(plan.algorithm.parties(), plan.config) for plan in plans.values()]
    needs = {str(name): float(amount) for name, amount in pd.DataFrame(demands).sum().items()}
    with ExitStack() as until_exit:
        until_exit.enter_context(ray_with(needs, config, "raygan-bench"))
        contenders = {
            name: SplitContender(plan, until_exit.enter_context(closing(actors_of(plan))))
            for name, plan in plans.items()
        }
        tell(f"{len(contenders)} federations are up")
        runs = {name: contender.run for name, contender in contenders.items()}
        steps = {name: warm_up({name: run}, options.seconds) for name, run in runs.items()}
        yield contenders, measure(runs, steps, options.repeats, tell)


def measure(
    contenders: Mapping[str, Contender], steps: Mapping[str, int], repeats: int, tell: Tell
) -> dict[str, list[Slice]]:
    """Contender -> its slices, one a repeat; in every repeat another one begins.

    Args:
        steps: of each contender's slices.
    """
    slices: dict[str, list[Slice]] = {name: [] for name in contenders}
    for repeat in range(repeats):
        for name in rotated(list(contenders), repeat):
            slices[name].append(contenders[name](steps[name]))
        speeds = ", ".join(f"{name} {done[-1].images_per_s:.0f}" for name, done in slices.items())
        tell(f"repeat {repeat + 1} of {repeats}, images/s: {speeds}")
    return slices


def bench_plan(config: Config, options: BenchOptions) -> Plan:
    """The layout, with rounds that are long enough to measure in."""
    chosen = absolute_paths(bench_config(config, options))
    plan = make_plan(chosen)
    return make_plan(long_rounds(chosen, [held.num_images for held in plan.holdings]))


def actors_of(plan: Plan) -> RayBackend:
    """The federation's actors, on the Ray that is there."""
    evaluator = evaluator_plan(plan.config, plan.shape, plan.layout.spec, None)
    return RayBackend(plan.algorithm.parties(), plan.config, evaluator)


def _contenders(plan: Plan, actors: SplitContender) -> dict[str, Contender]:
    """The three, the limit first. In one process there is nobody to share the cores with: all are used."""
    threads = os.cpu_count() or 1
    unsplit = Unsplit(split_plan(plan.algorithm).layout, plan.config, threads)
    one_process = in_process(plan, client_threads=threads, body_threads=threads)
    return {"unsplit": unsplit.run, "in_process": one_process, "ray": actors.run}


def in_process(plan: Plan, **settings: object) -> Contender:
    """The federation in this process.

    Args:
        settings: of `ray`, instead of the plan's.
    """
    config = plan.config.model_copy(update={"ray": plan.config.ray.model_copy(update=settings)})
    evaluator = evaluator_plan(config, plan.shape, plan.layout.spec, None)
    split = replace(split_plan(plan.algorithm), config=config)
    backend = InProcessBackend(split.parties(), config, partial(Evaluator, evaluator))
    return SplitContender(plan, backend).run


def warm_up(contenders: Mapping[str, Contender], seconds: float) -> int:
    """Runs everybody once; steps in a slice of about so many seconds of the slowest."""
    for contender in contenders.values():
        contender(1)
    slowest = max(contender(WARM_UP_STEPS).seconds for contender in contenders.values())
    return min(MOST_STEPS, max(2, round(seconds * WARM_UP_STEPS / slowest)))
