"""What a run tells of itself in numbers: a round's line of `metrics.jsonl`, and in the end `summary.json`."""

from __future__ import annotations

import math
import platform
import shlex
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any

from raygan.algorithms.base import RoundResult
from raygan.config.privacy import DpConfig
from raygan.data import domain_names
from raygan.parties.layout import Layout
from raygan.run.folder import RunFolder
from raygan.run.plan import Plan
from raygan.scores import SCORES, Score
from raygan.storage import read_json_lines
from raygan.wire.records import BodyReport, DomainScores, Evaluation, Spending, StepReport, Traffic
from raygan.wire.statistics import merged


def mean_losses(reports: Iterable[StepReport]) -> tuple[float, float]:
    """Mean discriminator and generator loss over clients and steps; NaN if nobody took part."""
    records = list(reports)
    discriminator = [loss for report in records for loss in report.discriminator_loss.values()]
    generator = [loss for report in records for loss in report.generator_loss.values()]
    return _mean(discriminator), _mean(generator)


def round_metrics(
    plan: Plan,
    result: RoundResult,
    evaluation: Evaluation | None,
    traffic: Iterable[Traffic] = (),
    faults: Sequence[str] = (),
) -> dict[str, Any]:
    """One JSON object: losses, statistics, time, bytes, faults, the algorithm's measures, scores.

    Args:
        traffic: what the parties counted in the round.
        faults: told since the round before.
    """
    epochs, served, workers = result.epochs, result.served, plan.layout.workers
    losses = mean_losses(epochs.reports)
    statistics = [r.statistics for r in epochs.reports] + [r.statistics for r in epochs.server]
    names = domain_names(plan.config.data)
    return {
        "round": result.cohort.round + 1,
        "seconds": round(result.seconds, 3),
        "train_seconds": round(epochs.seconds, 3),
        "end_seconds": round(result.seconds - epochs.seconds, 3),
        "steps": result.cohort.num_steps,
        "images": sum(report.num_images for report in epochs.reports),
        "client_actors": len({report.worker for report in epochs.reports}),
        "discriminator_loss": _number(losses[0]),
        "generator_loss": _number(losses[1]),
        "statistics": {name: _number(mean.value) for name, mean in merged(statistics).items()},
        "bytes_up": sum(report.bytes_sent for report in epochs.reports),
        "bytes_down": sum(report.bytes_received for report in epochs.reports),
        **links([*traffic, *([evaluation.traffic] if evaluation and evaluation.traffic else [])]),
        "phase_seconds": _phases(epochs.reports),
        "body_seconds": _phases(epochs.server),
        "evaluation_seconds": round(evaluation.seconds, 3) if evaluation else None,
        "clients": len(served),
        "late": sum(len(workers[worker].ids) for worker in epochs.late),
        "lost": sum(len(workers[worker].ids) for worker in epochs.lost),
        **plan.algorithm.measures(result, plan.domains),
        **_privacy(plan.config.privacy.dp, result.spending),
        "absent_steps": {workers[worker].name: steps for worker, steps in sorted(epochs.absent.items())},
        "lost_actors": [workers[worker].name for worker in sorted(epochs.lost)],
        "scores": domain_scores(evaluation, served, plan.domains, names),
        "samples": list(evaluation.samples) if evaluation else [],
        "faults": list(faults),
    }


def summary(
    folder: RunFolder, layout: Layout[Any], first: int, seconds: float, start_seconds: float
) -> Mapping[str, Any]:
    """`summary.json`.

    Args:
        first: the round with which this process began.
        seconds: since then.
        start_seconds: before then: data, plan and actors.
    """
    rounds = read_json_lines(folder.metrics_file)
    seconds += sum(line["seconds"] for line in rounds[:first])
    last = rounds[-1]
    measured = {name: last[name] for name in ("cluster_agreement", "clusters") if name in last}
    return {
        "rounds": last["round"],
        "scores": last["scores"],
        **measured,
        "seconds": round(seconds, 1),
        "start_seconds": round(start_seconds, 1),
        "bytes_moved": sum(line["bytes_up"] + line["bytes_down"] for line in rounds),
        "devices": {plan.client: plan.profile for plan in layout.clients},
        "versions": versions(),
        "command": command(sys.argv),
        "finished": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }


def flat(line: Mapping[str, Any]) -> dict[str, Any]:
    """A line of `metrics.jsonl` without levels: `DOMAIN/label_agreement` for scores, `statistics/NAME` and so on for the
    rest; lists are left out."""
    parts = {key: value for key, value in line.items() if key != "scores"}
    return {**_without_levels(parts), **_without_levels(line.get("scores") or {})}


def _without_levels(entry: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in entry.items():
        if isinstance(value, Mapping):
            found |= {f"{key}/{name}": part for name, part in _without_levels(value).items()}
        elif not isinstance(value, list):
            found[key] = value
    return found


def command(words: Sequence[str]) -> str | None:
    """The words of a command line of raygan's, as a shell takes them, without what callbacks are told (it may be a key
    of a service); None: another program."""
    program = Path(words[0])
    if program.name != "raygan" and program.parts[-2:] != ("raygan", "__main__.py"):
        return None
    kept = []
    for before, word in pairwise(words):
        name, _, value = word.partition("=")
        if before == "--callback":
            kept.append(name)
        else:
            kept.append(f"{name}={value.partition('=')[0]}" if name == "--callback" and value else word)
    return shlex.join(["raygan", *kept])


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on; a package that is not installed is left out."""
    found = {"python": platform.python_version()}
    for name in ("raygan", "torch", "ray", "numpy"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def links(traffic: Iterable[Traffic]) -> dict[str, Any]:
    """`links`: records and bytes by link and kind; `client_bytes`: activations and gradients of each client.

    As in `{"links": {"client -> body": {"Gradients": {"records": 4, "bytes": 512}}}, "client_bytes": {"0": {"up":
    512, "down": 0}}}`.
    """
    table: dict[str, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    by_client: dict[int, dict[str, int]] = defaultdict(lambda: {"up": 0, "down": 0})
    for count in (count for traffic in traffic for count in traffic.counts):
        link = count.link
        of_link = table[f"{link.source} -> {link.target}"]
        of_link[link.kind].update(records=count.records, bytes=count.num_bytes)
        if link.client is not None:
            by_client[link.client]["up" if link.source == "client" else "down"] += count.num_bytes
    return {
        "links": {name: dict(sorted(kinds.items())) for name, kinds in sorted(table.items())},
        "client_bytes": {str(client): ways for client, ways in sorted(by_client.items())},
    }


def domain_scores(
    evaluation: Evaluation | None,
    cluster: Mapping[int, int],
    domains: Mapping[int, int],
    names: Sequence[str],
) -> dict[str, Any]:
    """By domain: the mean over its clients of their models' scores, each model's own, and the real images'.

    Args:
        evaluation: a round's scores; None: it was not evaluated.
        cluster: client -> the model that serves it.
        domains: client -> index of its domain; a domain that nobody holds any more has no scores.
        names: of the domains, by index.
    """
    if evaluation is None:
        return {}
    table: dict[str, Any] = {}
    held = set(domains.values())
    for index, name in enumerate(names):
        if index not in held:
            continue
        mine = [number for client, number in cluster.items() if domains[client] == index]
        scored = {s.cluster: s for s in evaluation.scores if s.domain_index == index}
        by_cluster = {number: _named(scored[number]) for number in dict.fromkeys(mine) if number in scored}
        table[name] = {
            **_mean_scores([by_cluster[number] for number in mine if number in by_cluster]),
            "clusters": {
                str(number): {**scores, "clients": mine.count(number)} for number, scores in sorted(by_cluster.items())
            },
            "real": next((_named(s) for s in evaluation.real if s.domain_index == index), None),
        }
    return table


def _privacy(dp: DpConfig | None, spending: Mapping[int, Spending]) -> dict[str, Any]:
    """`privacy`: epsilon of each client and the largest, at the delta; nothing without differential privacy."""
    if dp is None or not spending:
        return {}
    clients = {str(client): round(told.epsilon, 6) for client, told in sorted(spending.items())}
    spent = [client for client, told in sorted(spending.items()) if told.is_spent]
    return {"privacy": {"epsilon": max(clients.values()), "delta": dp.delta, "clients": clients, "spent": spent}}


def _named(scores: DomainScores) -> dict[str, Any]:
    found: dict[str, Any] = {name: scores.values.get(name) for name in SCORES}
    return {
        "images": scores.num_images,
        **{name: _number(value) if SCORES[name].is_number else value for name, value in found.items()},
    }


def _mean_scores(scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The mean over clients, score by score; None for one that nobody has."""
    return {
        "images": scores[0]["images"] if scores else None,
        **{score.name: _mean_of_score(score, scores) for score in SCORES.values()},
    }


def _mean_of_score(score: Score, entries: Sequence[Mapping[str, Any]]) -> Any:
    values = [entry[score.name] for entry in entries]
    if score.is_number:
        return _number(_mean([value for value in values if value is not None]))
    known: list[Mapping[str, Any]] = [value for value in values if value]
    if not known:
        return None
    found = sorted({name for value in known for name in value} - {"images"}, key=int) if score.by_class else ()
    of = found or [part.name for part in score.parts]
    means = {name: _mean([value[name] for value in known if name in value]) for name in of}
    return {"images": known[0]["images"], **means}


def _phases(reports: Iterable[StepReport | BodyReport]) -> dict[str, float]:
    total: dict[str, float] = {}
    for report in reports:
        for phase, seconds in report.seconds.items():
            total[phase] = total.get(phase, 0.0) + seconds
    return {phase: round(seconds, 3) for phase, seconds in total.items()}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def _number(value: float | None) -> float | None:
    """As JSON has it: a number that is not finite is none."""
    return value if value is not None and math.isfinite(value) else None
