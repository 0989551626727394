"""The bench itself: what to measure with which settings, and the document that comes of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

from raygan.algorithms.huscf import split_plan
from raygan.bench.contenders import Contender, Slice, SplitContender, UnsplitContender
from raygan.bench.document import bench_document, scale_document
from raygan.bench.round_end import end_round
from raygan.bench.settings import MOST_STEPS, BenchOptions, bench_config, long_rounds
from raygan.bench.statistics import rotated
from raygan.config.loading import absolute_paths
from raygan.config.schema import Config
from raygan.parties.evaluator import Evaluator
from raygan.run.plan import Plan, make_plan
from raygan.run.scoring import evaluator_plan
from raygan.runtime.in_process import InProcessBackend
from raygan.runtime.ray.backend import RayBackend
from raygan.runtime.ray.cluster import ray_with
from raygan.runtime.ray.demand import required
from raygan.runtime.ray.usage import process_age_s

WARM_UP_STEPS = 2
ROUND_ENDS = 3
Tell = Callable[[str], None]


def run_bench(config: Config, options: BenchOptions, tell: Tell) -> dict[str, Any]:
    """Measures the three contenders in turns.

    Args:
        tell: called with a line of progress now and then.

    Returns:
        The document of `raygan bench --json`.

    Raises:
        InputError: options or data that cannot be used.
    """
    watch = Stopwatch(process_age_s())
    plan = bench_plan(config, options)
    watch.lap("plan")
    with ray_with(required(plan.algorithm.parties(), plan.config), plan.config, "raygan-bench"):
        watch.lap("ray")
        with _actors(plan) as actors:
            watch.lap("actors")
            actors.run(1)
            watch.lap("first_step")
            tell(f"first step after {watch.total:.1f} s; building the others")
            contenders = _contenders(plan, actors)
            num_steps = warm_up(contenders, options.seconds)
            slices = measure(contenders, num_steps, options.repeats, tell)
            usage = actors.usage()
            ends = [_end_round(actors) for _ in range(ROUND_ENDS)]
    return bench_document(plan, _steps_of_a_round(config, plan), slices, usage, watch.laps, ends)


def run_scale(config: Config, options: BenchOptions, counts: Sequence[int], tell: Tell) -> dict[str, Any]:
    """Measures the actors for several numbers of clients in turns; arguments and errors as `run_bench`."""
    plans = {
        str(count): bench_plan(config, BenchOptions(**{**vars(options), "clients": count}))
        for count in counts
    }
    needs: dict[str, float] = {}
    for plan in plans.values():
        for name, amount in required(plan.algorithm.parties(), plan.config).items():
            needs[name] = needs.get(name, 0.0) + amount
    with ray_with(needs, config, "raygan-bench"):
        groups = {name: _group(plan) for name, plan in plans.items()}
        try:
            contenders = {name: SplitContender(plans[name], group) for name, group in groups.items()}
            tell(f"{len(contenders)} federations are up")
            steps = {name: warm_up({name: c}, options.seconds) for name, c in contenders.items()}
            slices = _turns(contenders, steps, options.repeats, tell)
            usage = {name: contender.usage() for name, contender in contenders.items()}
            ends = {name: _end_round(contender) for name, contender in contenders.items()}
        finally:
            for group in groups.values():
                group.close()
    return scale_document(plans, slices, usage, ends)


def measure(
    contenders: Mapping[str, Contender], num_steps: int, repeats: int, tell: Tell
) -> dict[str, list[Slice]]:
    """Contender -> its slices, one a turn; in every turn another one begins."""
    return _turns(contenders, dict.fromkeys(contenders, num_steps), repeats, tell)


def _turns(
    contenders: Mapping[str, Contender], steps: Mapping[str, int], repeats: int, tell: Tell
) -> dict[str, list[Slice]]:
    slices: dict[str, list[Slice]] = {name: [] for name in contenders}
    for turn in range(repeats):
        for name in rotated(list(contenders), turn):
            slices[name].append(contenders[name].run(steps[name]))
        speeds = ", ".join(f"{name} {done[-1].images_per_s:.0f}" for name, done in slices.items())
        tell(f"turn {turn + 1} of {repeats}, images/s: {speeds}")
    return slices


class Stopwatch:
    """Seconds by part, one after the other."""

    def __init__(self, before: float) -> None:
        self.laps = {"import": before}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """A part ends here."""
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now

    @property
    def total(self) -> float:
        """Seconds of all parts."""
        return sum(self.laps.values())


def bench_plan(config: Config, options: BenchOptions) -> Plan:
    """The layout, with rounds that are long enough to measure in."""
    chosen = absolute_paths(bench_config(config, options))
    plan = make_plan(chosen)
    return make_plan(long_rounds(chosen, [held.num_images for held in plan.holdings]))


def _steps_of_a_round(config: Config, plan: Plan) -> int:
    """As the configuration has it, without the bench's long rounds."""
    most = max(held.num_images for held in plan.holdings)
    return config.training.local_epochs * max(1, most // plan.config.training.batch_size)


def _group(plan: Plan) -> RayBackend:
    evaluator = evaluator_plan(plan.config, plan.shape, plan.layout.spec, None)
    return RayBackend(plan.algorithm.parties(), plan.config, evaluator)


@contextmanager
def _actors(plan: Plan) -> Iterator[SplitContender]:
    group = _group(plan)
    try:
        yield SplitContender(plan, group)
    finally:
        group.close()


def _end_round(contender: SplitContender) -> dict[str, float]:
    """As after the warm-up rounds, where the clients are really clustered."""
    number = contender.plan.config.clusters.warmup_rounds
    return end_round(contender, replace(contender.cohort(0), round=number))


def _contenders(plan: Plan, actors: SplitContender) -> dict[str, Contender]:
    """The three, the limit first. In one process there is nobody to share the cores with: all are used."""
    threads = os.cpu_count() or 1
    one_process = in_process(plan, client_threads=threads, body_threads=threads)
    return {"unsplit": UnsplitContender(plan, threads), "in_process": one_process, "ray": actors}


def in_process(plan: Plan, **settings: object) -> SplitContender:
    """The federation in this process.

    Args:
        settings: of `ray`, instead of the plan's.
    """
    config = plan.config.model_copy(update={"ray": plan.config.ray.model_copy(update=settings)})
    evaluator = evaluator_plan(config, plan.shape, plan.layout.spec, None)
    split = replace(split_plan(plan.algorithm), config=config)
    return SplitContender(plan, InProcessBackend(split.parties(), config, partial(Evaluator, evaluator)))


def warm_up(contenders: Mapping[str, Contender], seconds: float) -> int:
    """Runs everybody once; steps in a slice of about so many seconds of the slowest."""
    for contender in contenders.values():
        contender.run(1)
    slowest = max(contender.run(WARM_UP_STEPS).seconds for contender in contenders.values())
    return min(MOST_STEPS, max(2, round(seconds * WARM_UP_STEPS / slowest)))
