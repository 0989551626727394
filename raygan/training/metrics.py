"""A round's line of `metrics.jsonl` and of `clusters.jsonl`, from its small records."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from raygan.evaluation import cluster_agreement
from raygan.messages import Assignment, Evaluation, StepReport
from raygan.training.round import RoundResult


def mean_losses(reports: Iterable[StepReport]) -> tuple[float, float]:
    """Mean discriminator and generator loss over clients and steps; NaN if nobody took part."""
    records = list(reports)
    discriminator = [loss for report in records for loss in report.discriminator_loss.values()]
    generator = [loss for report in records for loss in report.generator_loss.values()]
    return _mean(discriminator), _mean(generator)


def round_metrics(
    result: RoundResult, evaluation: Evaluation | None, domains: Mapping[int, int], names: Sequence[str]
) -> dict[str, Any]:
    """One JSON object: losses, time, bytes, clusters and, where it was evaluated, scores."""
    losses = mean_losses(result.reports)
    cluster = result.assignment.cluster
    return {
        "round": result.round + 1,
        "seconds": round(result.train_seconds + result.end_seconds, 3),
        "train_seconds": round(result.train_seconds, 3),
        "end_seconds": round(result.end_seconds, 3),
        "images": sum(report.num_images for report in result.reports),
        "discriminator_loss": _number(losses[0]),
        "generator_loss": _number(losses[1]),
        "bytes_up": sum(report.bytes_sent for report in result.reports),
        "bytes_down": sum(report.bytes_received for report in result.reports),
        "phase_seconds": _phases(result.reports),
        "clusters": len(set(cluster.values())),
        "cluster_agreement": cluster_agreement([cluster[c] for c in cluster], [domains[c] for c in cluster]),
        "scores": _scores(evaluation, cluster, domains, names),
        "samples": list(evaluation.samples) if evaluation else [],
        "faults": [fault for report in result.reports for fault in report.faults]
        + list(result.assignment.faults),
    }


def cluster_record(round_number: int, assignment: Assignment) -> dict[str, Any]:
    """One JSON object: cluster, KLD and weights of each client."""
    return {
        "round": round_number + 1,
        "clients": {
            str(client): {
                "cluster": cluster,
                "kld": _number(assignment.kld[client]),
                "weight": assignment.weight[client],
                "body_weight": assignment.body_weight[client],
            }
            for client, cluster in assignment.cluster.items()
        },
    }


def _scores(
    evaluation: Evaluation | None,
    cluster: Mapping[int, int],
    domains: Mapping[int, int],
    names: Sequence[str],
) -> dict[str, Any]:
    """By domain: the mean over its clients of their clusters' scores, and each cluster's own."""
    if evaluation is None:
        return {}
    table: dict[str, Any] = {}
    for index, name in enumerate(names):
        mine = [
            cluster[client] for client, domain in domains.items() if domain == index and client in cluster
        ]
        by_cluster = {s.cluster: s for s in evaluation.scores if s.domain_index == index}
        table[name] = {
            "label_agreement": _mean([by_cluster[c].label_agreement for c in mine]),
            "generation_score": _mean([by_cluster[c].generation_score for c in mine]),
            "clusters": {
                str(c): {
                    "label_agreement": s.label_agreement,
                    "generation_score": s.generation_score,
                    "clients": mine.count(c),
                }
                for c, s in by_cluster.items()
            },
        }
    return table


def _phases(reports: Iterable[StepReport]) -> dict[str, float]:
    total: dict[str, float] = {}
    for report in reports:
        for phase, seconds in report.seconds.items():
            total[phase] = total.get(phase, 0.0) + seconds
    return {phase: round(seconds, 3) for phase, seconds in total.items()}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
