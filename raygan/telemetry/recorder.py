"""Publishes a run's metrics through `ray.util.metrics`. The driver records them from the small reports: nothing is added
to a message, and an actor does nothing for it but answer once a round."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ray.util import metrics

from raygan.scores import names, single
from raygan.telemetry.definitions import METRICS, STEP_SECONDS, Metric
from raygan.wire.records import StepReport, Usage

STATES = ("wait", "work", "send")


REFRESH_SECONDS = 5.0
"""Ray forgets a gauge that is not set again within 20 s (twice `metrics_report_interval_ms`)."""


NOTHING = Usage(wait_s=0.0, work_s=0.0, send_s=0.0, cpu_s=0.0, memory_bytes=0)


class Recorder:
    """The metrics of one run. Use it in a process that has joined Ray; make it when the actors are up."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._objects = {metric.name: _made(metric) for metric in METRICS}
        self._step_ended: float | None = None
        self._num_clusters = 0
        self._gauges: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self._refreshed = time.perf_counter()
        self._usage: dict[str, tuple[float, Usage]] = {}
        self._looked = time.perf_counter()

    def step(self, losses: tuple[float, float], reports: Mapping[str, StepReport]) -> None:
        """A step has ended.

        Args:
            losses: mean discriminator and generator loss.
            reports: client actor -> what it tells.
        """
        now = time.perf_counter()
        if self._step_ended is not None:
            self._observe("raygan_step_seconds", now - self._step_ended)
        self._step_ended = now
        self._count("raygan_steps", 1)
        self._count("raygan_images", sum(report.num_images for report in reports.values()))
        for network, loss in zip(("discriminator", "generator"), losses, strict=True):
            self._set("raygan_loss", loss, network=network)
        phases: Counter[str] = Counter()
        for name, report in reports.items():
            phases.update(report.seconds)
            self._count("raygan_bytes", report.bytes_sent, link=name, direction="up")
            self._count("raygan_bytes", report.bytes_received, link=name, direction="down")
        for phase, seconds in phases.items():
            self._count("raygan_phase_seconds", seconds, role="client", phase=phase)
        if now - self._refreshed > REFRESH_SECONDS:
            self._refresh()

    def round(self, line: Mapping[str, Any]) -> None:
        """A round has ended and is scored: its line of `metrics.jsonl`."""
        self._set("raygan_round", line["round"])
        for part in ("train", "end", "evaluation"):
            self._set("raygan_round_seconds", line[f"{part}_seconds"], part=part)
        for phase, seconds in line["body_seconds"].items():
            self._count("raygan_phase_seconds", seconds, role="body", phase=phase)
        for link, kinds in line["links"].items():
            for kind, sums in kinds.items():
                self._count("raygan_record_bytes", sums["bytes"], link=link, kind=kind)
        for actor, steps in line["absent_steps"].items():
            self._count("raygan_absent_steps", steps, actor=actor)
        for actor in line["lost_actors"]:
            self._count("raygan_lost", 1, actor=actor)
        self._set("raygan_clusters", line["clusters"])
        self._set("raygan_cluster_agreement", line["cluster_agreement"])
        for cluster in range(max(self._num_clusters, len(line["cluster_sizes"]))):
            self._set("raygan_cluster_size", line["cluster_sizes"].get(str(cluster), 0), cluster=str(cluster))
        self._num_clusters = len(line["cluster_sizes"])
        for domain, scores in line["scores"].items():
            for name in names(single()):
                self._set("raygan_score", scores[name], domain=domain, score=name)
        self._refresh()

    def usage(self, actors: Mapping[str, Usage]) -> None:
        """What the actors have used so far; a restarted one counts from its new beginning, and one that is new from
        the look before, when it was not there yet."""
        now = time.perf_counter()
        for actor, usage in actors.items():
            then, before = self._usage.get(actor, (self._looked, NOTHING))
            spent = {state: _since(before, usage, state) for state in STATES}
            spent["queue"] = max(0.0, now - then - sum(spent.values()))
            for state, seconds in spent.items():
                self._count("raygan_actor_seconds", seconds, actor=actor, state=state)
            self._set("raygan_memory_bytes", usage.memory_bytes, actor=actor)
            self._usage[actor] = (now, usage)
        self._looked = now

    def fault(self) -> None:
        """Something went wrong and was told."""
        self._count("raygan_faults", 1)

    def _count(self, name: str, amount: float, **tags: str) -> None:
        if amount > 0:  # Ray warns of 0
            self._objects[name].inc(amount, {"run": self._run, **tags})

    def _set(self, name: str, value: float | None, **tags: str) -> None:
        if value is not None:
            self._gauges[name, tuple(tags.items())] = value
            self._objects[name].set(value, {"run": self._run, **tags})

    def _refresh(self) -> None:
        self._refreshed = time.perf_counter()
        for (name, tags), value in self._gauges.items():
            self._objects[name].set(value, {"run": self._run, **dict(tags)})

    def _observe(self, name: str, value: float) -> None:
        self._objects[name].observe(value, {"run": self._run})


def _made(metric: Metric) -> Any:
    keys = ("run", *metric.tags)
    if metric.kind == "counter":
        return metrics.Counter(metric.name, metric.meaning, keys)
    if metric.kind == "gauge":
        return metrics.Gauge(metric.name, metric.meaning, keys)
    return metrics.Histogram(metric.name, metric.meaning, list(STEP_SECONDS), keys)


def _since(before: Usage, now: Usage, state: str) -> float:
    earlier, later = getattr(before, f"{state}_s"), getattr(now, f"{state}_s")
    return later - earlier if later >= earlier else later
