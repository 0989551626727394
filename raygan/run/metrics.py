"""A round's line of `metrics.jsonl` and of `clusters.jsonl`, from its small records."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from raygan.algorithms.huscf import RoundResult
from raygan.evaluation import cluster_agreement
from raygan.split.layout import WorkerPlan
from raygan.wire.records import Assignment, BodyReport, DomainScores, Evaluation, StepReport, Traffic

SCORES = ("label_agreement", "generation_score", "classifier_fid", "inception_fid")
"""Scores of a domain in `metrics.jsonl`; with the entry's `images` they have their full names (`_5k`)."""


def mean_losses(reports: Iterable[StepReport]) -> tuple[float, float]:
    """Mean discriminator and generator loss over clients and steps; NaN if nobody took part."""
    records = list(reports)
    discriminator = [loss for report in records for loss in report.discriminator_loss.values()]
    generator = [loss for report in records for loss in report.generator_loss.values()]
    return _mean(discriminator), _mean(generator)


def round_metrics(
    result: RoundResult,
    evaluation: Evaluation | None,
    domains: Mapping[int, int],
    names: Sequence[str],
    workers: Sequence[WorkerPlan],
    traffic: Iterable[Traffic] = (),
    faults: Sequence[str] = (),
) -> dict[str, Any]:
    """One JSON object: losses, time, bytes, clusters, faults and, where it was evaluated, scores.

    Args:
        domains, names: as for `domain_scores`.
        workers: all of them, by number.
        traffic: what the actors counted in the round.
        faults: told since the round before.
    """
    losses = mean_losses(result.epochs.reports)
    cluster = result.assignment.cluster
    return {
        "round": result.round + 1,
        "seconds": round(result.train_seconds + result.end_seconds, 3),
        "train_seconds": round(result.train_seconds, 3),
        "end_seconds": round(result.end_seconds, 3),
        "images": sum(report.num_images for report in result.epochs.reports),
        "discriminator_loss": _number(losses[0]),
        "generator_loss": _number(losses[1]),
        "bytes_up": sum(report.bytes_sent for report in result.epochs.reports),
        "bytes_down": sum(report.bytes_received for report in result.epochs.reports),
        **links([*traffic, *([evaluation.traffic] if evaluation and evaluation.traffic else [])]),
        "phase_seconds": _phases(result.epochs.reports),
        "body_seconds": _phases(result.epochs.body),
        "evaluation_seconds": round(evaluation.seconds, 3) if evaluation else None,
        "clients": len(cluster),
        "late": sum(len(workers[worker].ids) for worker in result.epochs.late),
        "lost": sum(len(workers[worker].ids) for worker in result.epochs.lost),
        "clusters": len(set(cluster.values())),
        "cluster_sizes": {str(c): size for c, size in sorted(Counter(cluster.values()).items())},
        "absent_steps": {
            workers[worker].name: steps for worker, steps in sorted(result.epochs.absent.items())
        },
        "lost_actors": [workers[worker].name for worker in sorted(result.epochs.lost)],
        "cluster_agreement": cluster_agreement([cluster[c] for c in cluster], [domains[c] for c in cluster]),
        "scores": domain_scores(evaluation, cluster, domains, names),
        "samples": list(evaluation.samples) if evaluation else [],
        "faults": list(faults),
    }


def links(traffic: Iterable[Traffic]) -> dict[str, Any]:
    """`links`: records and bytes by link and kind; `client_bytes`: activations and gradients of each client.

    As in `{"links": {"client -> body": {"Gradients": {"records": 4, "bytes": 512}}}, "client_bytes": {"0": {"up":
    512, "down": 0}}}`.
    """
    table: dict[str, dict[str, dict[str, int]]] = {}
    by_client: dict[int, dict[str, int]] = {}
    for count in (count for traffic in traffic for count in traffic.counts):
        link = count.link
        entry = table.setdefault(f"{link.source} -> {link.target}", {}).setdefault(
            link.kind, {"records": 0, "bytes": 0}
        )
        entry["records"] += count.records
        entry["bytes"] += count.num_bytes
        if link.client is not None:
            way = "up" if link.source == "client" else "down"
            by_client.setdefault(link.client, {"up": 0, "down": 0})[way] += count.num_bytes
    return {
        "links": {name: dict(sorted(kinds.items())) for name, kinds in sorted(table.items())},
        "client_bytes": {str(client): ways for client, ways in sorted(by_client.items())},
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


def domain_scores(
    evaluation: Evaluation | None,
    cluster: Mapping[int, int],
    domains: Mapping[int, int],
    names: Sequence[str],
) -> dict[str, Any]:
    """By domain: the mean over its clients of their clusters' scores, each cluster's own, and the real images'.

    Args:
        evaluation: a round's scores; None: it was not evaluated.
        cluster: client -> cluster.
        domains: client -> index of its domain.
        names: of the domains, by index.
    """
    if evaluation is None:
        return {}
    table: dict[str, Any] = {}
    for index, name in enumerate(names):
        mine = [number for client, number in cluster.items() if domains[client] == index]
        scored = {s.cluster: s for s in evaluation.scores if s.domain_index == index}
        by_cluster = {number: _named(scored[number]) for number in dict.fromkeys(mine) if number in scored}
        table[name] = {
            **_mean_scores([by_cluster[number] for number in mine if number in by_cluster]),
            "clusters": {
                str(number): {**scores, "clients": mine.count(number)}
                for number, scores in sorted(by_cluster.items())
            },
            "real": next((_named(s) for s in evaluation.real if s.domain_index == index), None),
        }
    return table


def _named(scores: DomainScores) -> dict[str, Any]:
    return {
        "images": scores.num_images,
        **{name: _number(getattr(scores, name)) for name in SCORES},
        "usefulness": asdict(scores.usefulness) if scores.usefulness else None,
    }


def _mean_scores(scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean over clients, score by score; None for one that nobody has."""
    useful = [entry["usefulness"] for entry in scores if entry["usefulness"]]
    return {
        "images": scores[0]["images"] if scores else None,
        **{name: _mean_of_known([entry[name] for entry in scores]) for name in SCORES},
        "usefulness": _mean_usefulness(useful) if useful else None,
    }


def _mean_usefulness(scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    means = {name: _mean([entry[name] for entry in scores]) for name in scores[0] if name != "images"}
    return {"images": scores[0]["images"], **means}


def _mean_of_known(values: Iterable[float | None]) -> float | None:
    return _number(_mean([value for value in values if value is not None]))


def _phases(reports: Iterable[StepReport | BodyReport]) -> dict[str, float]:
    total: dict[str, float] = {}
    for report in reports:
        for phase, seconds in report.seconds.items():
            total[phase] = total.get(phase, 0.0) + seconds
    return {phase: round(seconds, 3) for phase, seconds in total.items()}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
