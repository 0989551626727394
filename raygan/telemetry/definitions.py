"""Every metric that a run publishes, in one table: what is recorded, the page of documentation and the Grafana dashboard
follow from it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]

STEP_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
"""Bounds of the histogram of step times, seconds."""


@dataclass(frozen=True)
class Metric:
    """One metric."""

    name: str
    kind: Kind
    unit: str
    tags: tuple[str, ...]
    """Beside `run`, which all have."""
    meaning: str

    @property
    def exported(self) -> str:
        """Its name in Prometheus: Ray prefixes all, and Prometheus ends a counter in `_total`."""
        return f"ray_{self.name}" + ("_total" if self.kind == "counter" else "")


METRICS = (
    Metric("raygan_loss", "gauge", "nats", ("network",), "Mean loss of the last step over its clients."),
    Metric("raygan_round", "gauge", "rounds", (), "Rounds that have ended."),
    Metric("raygan_rounds", "counter", "rounds", (), "Rounds that have ended since the run was started or resumed."),
    Metric("raygan_steps", "counter", "steps", (), "Steps that have ended: a D update and a G update each."),
    Metric("raygan_images", "counter", "images", (), "Real images used."),
    Metric("raygan_step_seconds", "histogram", "seconds", (), "From the end of one step to the end of the next."),
    Metric("raygan_round_seconds", "gauge", "seconds", ("part",),
           "Of the last round: `train` (its steps), `end` (clustering, weighting, averaging), `evaluation` (beside)."),
    Metric("raygan_phase_seconds", "counter", "seconds", ("role", "phase"),
           "Work by phase: of clients (`generate`, `discriminate`, ...) and of the body (`discriminate backward`, ...)."),
    Metric("raygan_actor_seconds", "counter", "seconds", ("actor", "state"),
           "Where an actor's time went: `wait` (for messages), `work`, `send`, `queue` (its queue was empty)."),
    Metric("raygan_memory_bytes", "gauge", "bytes", ("actor",), "Memory of an actor that it shares with nobody."),
    Metric("raygan_bytes", "counter", "bytes", ("link", "direction"),
           "Activations and gradients between a client actor (`link`) and the body: `up` to the body, `down` from it."),
    Metric("raygan_record_bytes", "counter", "bytes", ("link", "kind"),
           "All that crossed in a round, by link (`client -> aggregator`, ...) and kind of record (`State`, ...)."),
    Metric("raygan_absent_steps", "counter", "steps", ("actor",),
           "Steps that a client actor sat out, late or lost."),
    Metric("raygan_lost", "counter", "losses", ("actor",), "Rounds in which a client actor was lost."),
    Metric("raygan_faults", "counter", "faults", (), "Everything that went wrong and was told."),
    Metric("raygan_clusters", "gauge", "clusters", (), "Clusters of the last round."),
    Metric("raygan_cluster_size", "gauge", "clients", ("cluster",), "Members of a cluster in the last round."),
    Metric("raygan_cluster_agreement", "gauge", "1", (), "Adjusted Rand index between clusters and domains."),
    Metric("raygan_epsilon", "gauge", "1", ("client", "delta"),
           "What a client has spent of its privacy budget by the end of the last round (`privacy.dp`)."),
    Metric("raygan_score", "gauge", "1", ("domain", "score"),
           "Scores of the last evaluated round, those of `raygan/scores.py` that are one number."),
)  # fmt: skip

BY_NAME = {metric.name: metric for metric in METRICS}
