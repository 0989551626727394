"""A contender of the bench runs steps when it is asked to, and rests in between: here the split, and what all give."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace

from raygan.algorithms.base import Model, ServerState
from raygan.algorithms.clusters import name_clusters
from raygan.algorithms.huscf import HuscfGan, split_plan
from raygan.bench.statistics import Stopwatch
from raygan.errors import RunError
from raygan.parties.aggregator import ClusterAggregator, model_file
from raygan.parties.base import Server, Worker
from raygan.run.plan import Plan
from raygan.runtime.backend import Backend, Reference
from raygan.runtime.federation import Federation
from raygan.runtime.steps import Cohort, Deadline, Epochs, StepLoop, Submitted
from raygan.split.body import SharedBody
from raygan.split.submit import train_step
from raygan.split.worker import SplitClients
from raygan.wire.records import BodyReport, Lost, StepId, StepReport, Usage, Written


@dataclass(frozen=True)
class Slice:
    """A few steps in a row."""

    seconds: float
    num_steps: int
    images: int
    cpu_s: float
    """CPU seconds of all its processes; unlike `seconds` it hardly depends on what else the machine does."""
    driver_cpu_s: float = 0.0
    """Those of the thread that submits the steps; what Ray's own threads beside it take follows the clock."""
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


Contender = Callable[[int], Slice]
"""One way to train the networks: so many steps of a new round."""


class SplitContender:
    """The federation, in this process or as actors."""

    def __init__(self, plan: Plan, backend: Backend) -> None:
        self.plan, self._backend = plan, backend
        self._layout = split_plan(plan.algorithm).layout
        steps = StepLoop(backend, lambda *_: None, Deadline(None), plan.config.ray.steps_ahead)
        self._federation: Federation[SplitClients, SharedBody] = Federation(backend, self._layout, steps)
        self._round = self._steps = 0

    def run(self, num_steps: int) -> Slice:
        """So many steps of a new round."""
        before = self.usage()
        started, cpu_before, thread_before = time.perf_counter(), time.process_time(), time.thread_time()
        epochs = self._federation.local_epochs(self._cohort(num_steps), self._split_step)
        seconds, cpu_s = time.perf_counter() - started, time.process_time() - cpu_before
        driver_cpu_s = time.thread_time() - thread_before
        for worker, lost in epochs.lost.items():
            found = f"{self._layout.workers[worker].name} was lost in a step ({lost.reason})"
            raise RunError("raygan bench", found, "measure fewer clients, or give the machine more memory")
        after = self.usage()
        self._round += 1
        self._steps = num_steps
        return Slice(
            seconds,
            num_steps,
            sum(report.num_images for report in epochs.reports),
            cpu_s + sum(after[name].cpu_s - before[name].cpu_s for name in before),
            driver_cpu_s,
            tuple(epochs.reports),
            tuple(epochs.server),
            {name: (before[name], after[name]) for name in before},
        )

    def _split_step(self, step: StepId, without: Collection[int]) -> Submitted:
        return train_step(self._federation, self._layout, step, without)

    def _cohort(self, num_steps: int) -> Cohort:
        """The next round's: all clients take part."""
        return Cohort(self._round, num_steps, tuple(plan.client for plan in self._layout.clients), 1)

    def usage(self) -> dict[str, Usage]:
        """Actor -> what it has used so far, but aggregators; nothing where there are no actors. One that hosts hundreds
        of clients takes its time to tell."""
        used = self._backend.usage(timeout_s=None)
        return {name: usage for name, usage in used.items() if not name.startswith("aggregator")}

    def carried_bytes(self) -> float:
        """Bytes of activations and gradients that sections of the body hand on in a step, in the mean of the last round;
        to be asked for once."""
        counted = self._backend.fetch([server.call(Server.traffic) for server in self._backend.servers])
        counts = [count for traffic in counted if not isinstance(traffic, Lost) for count in traffic.counts]
        between = [count for count in counts if (count.link.source, count.link.target) == ("body", "body")]
        return sum(count.num_bytes for count in between) / self._steps

    def end_round(self) -> tuple[dict[str, float], int]:
        """Ends a round whose steps are done as after the warm-up rounds, where the clients are really clustered; its
        checkpoint goes into a folder that is thrown away.

        Returns:
            Seconds of `cluster_and_weigh`, `aggregate` and `checkpoint`, and how many `files` that has.
        """
        algorithm, watch = self.plan.algorithm, Stopwatch()
        assert isinstance(algorithm, HuscfGan)
        cohort = replace(self._cohort(0), round=self.plan.config.clusters.warmup_rounds)
        num_samples = self._federation.check_in(cohort, Epochs())
        assignment = algorithm.cluster_and_weigh(self._federation, cohort, num_samples)
        assignment, state = name_clusters(assignment, ServerState(), self._layout.ids)
        watch.lap("cluster_and_weigh")
        models, *_ = algorithm.aggregate(self._federation, assignment, state.serves)
        watch.lap("aggregate")
        with tempfile.TemporaryDirectory(prefix="raygan-bench-") as folder:
            num_files = self._save(models, folder)
            watch.lap("checkpoint")
        return watch.laps, num_files

    def _save(self, models: Mapping[int, Model], folder: str) -> int:
        """How many files were written."""
        written: list[Reference[Written] | Reference[Written | None] | Reference[Written | Lost]] = []
        written += [server.call(Server.save, folder) for server in self._backend.servers]
        written += [handle.call(Worker.save, folder) for handle in self._backend.workers.values()]
        aggregators = self._backend.aggregators(len(models))
        for model, aggregator in zip(models.values(), aggregators, strict=True):
            file = f"{folder}/{model_file(str(model.identity))}"
            written.append(aggregator.call(ClusterAggregator.save, file, model.all_blocks))
        self._backend.fetch(written)
        return len(written)
