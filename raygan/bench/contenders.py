"""Who is measured: each runs steps when it is asked to, and rests in between."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from raygan.algorithms.huscf import RoundPlan, begin_round, local_epochs
from raygan.bench.unsplit import Unsplit
from raygan.run.plan import Plan
from raygan.runtime.backend import Group
from raygan.runtime.deadline import Deadline
from raygan.wire.records import BodyReport, StepReport, Usage


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
        self._networks, self._threads, self._round = Unsplit(plan.layout, plan.config), threads, 0

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

    def __init__(self, plan: Plan, group: Group, *, actors: bool) -> None:
        self.plan, self.group, self._actors = plan, group, actors
        self._round = 0

    def run(self, num_steps: int) -> Slice:
        """So many steps of a new round."""
        before = self.usage()
        started, cpu_before = time.perf_counter(), time.process_time()
        begin_round(self.group, self._round)
        epochs = local_epochs(
            self.group, self.plan.layout, self.round_plan(num_steps), lambda *_: None, Deadline(None)
        )
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
            tuple(epochs.body),
            {name: (before[name], after[name]) for name in before},
        )

    def round_plan(self, num_steps: int) -> RoundPlan:
        """The next round: all clients take part."""
        everybody = tuple(plan.client for plan in self.plan.layout.clients)
        return RoundPlan(self._round, num_steps, everybody, 1, self.plan.config.ray.steps_ahead)

    def usage(self) -> dict[str, Usage]:
        """Actor -> what it has used so far; nothing where there are no actors."""
        if not self._actors:
            return {}
        handles: list[Any] = [*self.group.workers.values(), self.group.body]
        records = self.group.fetch([handle.call("usage") for handle in handles])
        return {handle.name: record for handle, record in zip(handles, records, strict=True)}
