"""Publishes a run's metrics through `ray.util.metrics`. The driver records them from the small reports: nothing is added
to a message, and an actor does nothing for it but answer once a round."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from ray.util import metrics

from raygan.run.events import Listener
from raygan.scores import names, single
from raygan.telemetry.definitions import METRICS, STEP_SECONDS, Metric
from raygan.wire.records import StepReport, Usage

STATES = ("wait", "work", "send")
REFRESH_SECONDS = 5.0
"""Ray forgets a gauge that is not set again within 20 s (twice `metrics_report_interval_ms`)."""
NOTHING = Usage(wait_s=0.0, work_s=0.0, send_s=0.0, cpu_s=0.0, memory_bytes=0)


class Recorder(Listener):
    """The metrics of one run. Use it in a process that has joined Ray; make it when the actors are up."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._objects = {metric.name: _made(metric) for metric in METRICS}
        self._step_ended: float | None = None
        self._clusters: dict[str, int] = {}
        self._gauges: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}
        self._refreshed = time.perf_counter()
        self._usage: dict[str, tuple[float, Usage]] = {}
        self._looked = time.perf_counter()

    def on_step(self, round_number: int, step: int, losses: tuple[float, float], num_images: int) -> None:
        """The rest of a step comes with its reports."""
        for network, loss in zip(("discriminator", "generator"), losses, strict=True):
            self._set("raygan_loss", loss, network=network)

    def on_reports(self, reports: Mapping[str, StepReport]) -> None:
        """A step has ended."""
        now = time.perf_counter()
        if self._step_ended is not None:
            self._objects["raygan_step_seconds"].observe(now - self._step_ended, {"run": self._run})
        self._step_ended = now
        self._count("raygan_steps", 1)
        self._count("raygan_images", sum(report.num_images for report in reports.values()))
        phases: Counter[str] = Counter()
        for name, report in reports.items():
            phases.update(report.seconds)
            self._count("raygan_bytes", report.bytes_sent, link=name, direction="up")
            self._count("raygan_bytes", report.bytes_received, link=name, direction="down")
        for phase, seconds in phases.items():
            self._count("raygan_phase_seconds", seconds, role="client", phase=phase)
        if now - self._refreshed > REFRESH_SECONDS:
            self._refresh()

    def on_round(self, metrics: dict[str, Any]) -> None:
        """A round has ended and is scored."""
        self._set("raygan_round", metrics["round"])
        self._count("raygan_rounds", 1)
        for part in ("train", "end", "evaluation"):
            self._set("raygan_round_seconds", metrics[f"{part}_seconds"], part=part)
        for phase, seconds in metrics["body_seconds"].items():
            self._count("raygan_phase_seconds", seconds, role="body", phase=phase)
        for link, kinds in metrics["links"].items():
            for kind, sums in kinds.items():
                self._count("raygan_record_bytes", sums["bytes"], link=link, kind=kind)
        for actor, steps in metrics["absent_steps"].items():
            self._count("raygan_absent_steps", steps, actor=actor)
        for actor in metrics["lost_actors"]:
            self._count("raygan_lost", 1, actor=actor)
        self._set("raygan_clusters", metrics.get("clusters"))
        self._set("raygan_cluster_agreement", metrics.get("cluster_agreement"))
        self._clusters = dict.fromkeys(self._clusters, 0) | metrics.get("cluster_sizes", {})
        for cluster, clients in self._clusters.items():
            self._set("raygan_cluster_size", clients, cluster=cluster)
        self._on_scores(metrics)
        self._refresh()

    def _on_scores(self, metrics: Mapping[str, Any]) -> None:
        """Scores, and what they cost in privacy."""
        privacy = metrics.get("privacy", {"clients": {}})
        for client, epsilon in privacy["clients"].items():
            self._set("raygan_epsilon", epsilon, client=client, delta=f"{privacy['delta']:g}")
        for domain, scores in metrics["scores"].items():
            for name in names(single()):
                self._set("raygan_score", scores[name], domain=domain, score=name)

    def on_usage(self, usage: Mapping[str, Usage]) -> None:
        """What the actors have used so far; a restarted one counts from its new beginning, and one that is new from
        the look before, when it was not there yet."""
        now = time.perf_counter()
        for actor, used in usage.items():
            then, before = self._usage.get(actor, (self._looked, NOTHING))
            spent = {state: _since(before, used, state) for state in STATES}
            spent["queue"] = max(0.0, now - then - sum(spent.values()))
            for state, seconds in spent.items():
                self._count("raygan_actor_seconds", seconds, actor=actor, state=state)
            self._set("raygan_memory_bytes", used.memory_bytes, actor=actor)
            self._usage[actor] = (now, used)
        self._looked = now

    def on_fault(self, fault: str) -> None:
        """Counts it."""
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


def _made(metric: Metric) -> Any:
    keys = ("run", *metric.tags)
    if metric.kind == "histogram":
        return metrics.Histogram(metric.name, metric.meaning, list(STEP_SECONDS), keys)
    return {"counter": metrics.Counter, "gauge": metrics.Gauge}[metric.kind](metric.name, metric.meaning, keys)


def _since(before: Usage, now: Usage, state: str) -> float:
    earlier: float = getattr(before, f"{state}_s")
    later: float = getattr(now, f"{state}_s")
    return later - earlier if later >= earlier else later
