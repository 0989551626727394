"""raygan on the same work: `split` is HuSCF-GAN's step, `fed_gan` rounds of FedGAN; in this process or on actors."""

from __future__ import annotations

import os
import sys
import tempfile
import time
from contextlib import ExitStack, closing, redirect_stdout

from raygan.api import train
from raygan.bench.contenders import Contender, SplitContender
from raygan.bench.run import actors_of, bench_plan, in_process
from raygan.bench.settings import BenchOptions
from raygan.bench.sides.work import Work, tell
from raygan.run.events import Listener
from raygan.runtime.ray.cluster import ray_with
from raygan.runtime.ray.demand import required
from raygan.simulation.allocator import keep_freed_memory

WARM_UP_STEPS = 2


class RoundClock(Listener):
    """When the first step of each round had ended, and each round's images."""

    def __init__(self) -> None:
        self.ends: list[float] = []
        self.images: list[int] = []

    def on_step(self, round_number: int, step: int, losses: tuple[float, float], num_images: int) -> None:
        """Notes both."""
        if step == 0:
            self.ends.append(time.perf_counter())
            self.images.append(0)
        self.images[-1] += num_images

    @property
    def timed_images(self) -> int:
        """Of all rounds but the first and the last."""
        return sum(self.images[1:-1])

    @property
    def timed_s(self) -> float:
        """From the first step of the second round to that of the last: whole rounds, each with its average."""
        return self.ends[-1] - self.ends[1]


def main() -> None:
    """Times `split` or `fed_gan`, the second argument, `in_process` or on `ray`, the third."""
    keep_freed_memory()
    work, (what, where) = Work.given(), sys.argv[2:4]
    with redirect_stdout(sys.stderr):
        images, seconds = _split(work, where) if what == "split" else _fed_gan(work, where)
    tell(images, seconds)


def _split(work: Work, where: str) -> tuple[int, float]:
    """Steps of the split at the mixed cuts."""
    options = BenchOptions(clients=work.clients, batch_size=work.batch_size, width=work.width)
    plan = bench_plan(work.config(), options)
    run: Contender
    with ExitStack() as until_exit:
        if where == "ray":
            needs = required(plan.algorithm.parties(), plan.config)
            until_exit.enter_context(ray_with(needs, plan.config, "raygan-bench"))
            run = SplitContender(plan, until_exit.enter_context(closing(actors_of(plan)))).run
        else:
            threads = os.cpu_count() or 1  # there is nobody to share the cores with
            run = in_process(plan, client_threads=threads, body_threads=threads)
        run(WARM_UP_STEPS)
        measured = run(work.steps)
    return measured.images, measured.seconds


def _fed_gan(work: Work, where: str) -> tuple[int, float]:
    """Rounds of FedGAN, each with its average: from the first step of the second round to that of the last."""
    clock = RoundClock()
    alone = {"ray": {"client_threads": os.cpu_count() or 1}} if where == "in_process" else {}
    config = work.config(algorithm="fed_gan", **alone)
    with tempfile.TemporaryDirectory(prefix="raygan-bench-") as folder:
        train(config, f"{folder}/run", in_process=where == "in_process", listener=clock)
    return clock.timed_images, clock.timed_s


if __name__ == "__main__":
    main()
