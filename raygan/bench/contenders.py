"""Who is measured: each runs steps when it is asked to, and rests in between."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch

from raygan.algorithms.huscf import split_plan
from raygan.bench.unsplit import Unsplit
from raygan.run.plan import Plan
from raygan.runtime.backend import Backend
from raygan.runtime.deadline import Deadline
from raygan.runtime.federation import Federation
from raygan.runtime.steps import Cohort, StepLoop, Submitted
from raygan.split.body import SharedBody
from raygan.split.submit import train_step
from raygan.split.worker import SplitClients
from raygan.wire.records import BodyReport, StepId, StepReport, Usage


@dataclass(frozen=True)
class Slice:
    """A few steps in a row."""

    seconds: float
    num_steps: int
    images: int
    cpu_s: float
    """CPU seconds of all its processes; unlike `seconds` it hardly depends on what else the machine does."""
    workers: tuple[StepReport, ...] = ()
    """Of all workers and steps."""
    body: tuple[BodyReport, ...] = ()
    usage: Mapping[str, tuple[Usage, Usage]] = field(default_factory=dict)
    """Actor -> before and after."""

    @property
    def step_s(self) -> float:
        """Seconds of a step."""
        return self.seconds / self.num_steps

    @property
    def images_per_s(self) -> float:
        """Real images a second; each comes with a fake."""
        return self.images / self.seconds


class Contender(Protocol):
    """One way to train the networks."""

    def run(self, num_steps: int) -> Slice:
        """So many steps of a new round."""


class UnsplitContender:
    """The limit."""

    def __init__(self, plan: Plan, threads: int) -> None:
        self._networks, self._threads, self._round = (
            Unsplit(split_plan(plan.algorithm).layout, plan.config),
            threads,
            0,
        )

    def run(self, num_steps: int) -> Slice:
        """So many steps of a new round."""
        torch.set_num_threads(self._threads)
        self._networks.begin_round(self._round)
        self._round += 1
        started, cpu_before = time.perf_counter(), time.process_time()
        images = sum(self._networks.step(step) for step in range(num_steps))
        return Slice(time.perf_counter() - started, num_steps, images, time.process_time() - cpu_before)


class SplitContender:
    """The federation, in this process or as actors."""

    def __init__(self, plan: Plan, backend: Backend) -> None:
        self.plan, self.backend = plan, backend
        self.layout = split_plan(plan.algorithm).layout
        steps = StepLoop(backend, lambda *_: None, Deadline(None), plan.config.ray.steps_ahead)
        self.federation: Federation[SplitClients, SharedBody] = Federation(backend, self.layout, steps)
        self._round = 0

    def run(self, num_steps: int) -> Slice:
        """So many steps of a new round."""
        before = self.usage()
        started, cpu_before = time.perf_counter(), time.process_time()
        epochs = self.federation.local_epochs(self.cohort(num_steps), self._split_step)
        seconds = time.perf_counter() - started
        cpu_s = time.process_time() - cpu_before
        after = self.usage()
        cpu_s += sum(after[name].cpu_s - before[name].cpu_s for name in before)
        self._round += 1
        return Slice(
            seconds,
            num_steps,
            sum(report.num_images for report in epochs.reports),
            cpu_s,
            tuple(epochs.reports),
            tuple(epochs.server),
            {name: (before[name], after[name]) for name in before},
        )

    def _split_step(self, step: StepId, without: Collection[int]) -> Submitted:
        return train_step(self.federation, self.layout, step, without)

    def cohort(self, num_steps: int) -> Cohort:
        """The next round's: all clients take part."""
        everybody = tuple(plan.client for plan in self.layout.clients)
        return Cohort(self._round, num_steps, everybody, 1)

    def usage(self) -> dict[str, Usage]:
        """Actor -> what it has used so far, but aggregators; nothing where there are no actors."""
        used = self.backend.usage()
        return {name: usage for name, usage in used.items() if not name.startswith("aggregator")}
