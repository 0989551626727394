"""The top of the page: what was run, how good it is, and who went together, in words."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

from raygan.algorithms import algorithm_of
from raygan.report.record import Record
from raygan.report.words import many, percent
from raygan.scores import HEADLINE


def headline(record: Record) -> dict[str, Any]:
    """`about` the run, `quality` of each domain, `groups` and `agreement` of its clusters."""
    return {
        "about": _about(record),
        "quality": [_quality(name, entry) for name, entry in record.scores.items()],
        "groups": _groups(record),
        "agreement": _agreement(record),
    }


def _about(record: Record) -> str:
    config, summary = record.config, record.summary
    done, asked = len(record.rounds), config.training.rounds
    state = many(done, "round") if done >= asked else f"{done} of {asked} rounds: this run has not ended"
    scenario = f"scenario {config.scenario} of the paper, " if config.scenario else ""
    when = f", finished {summary['finished'].replace('T', ' ')}" if summary else ""
    crowd = f"{many(config.num_clients, 'client')}, {many(len(record.domains), 'domain')}"
    return f"{scenario}{algorithm_of(config.algorithm).shown()}, {crowd}, {state}, seed {config.seed}{when}"


def _quality(name: str, entry: dict[str, Any]) -> dict[str, str | None]:
    share, real = entry.get(HEADLINE), (entry.get("real") or {}).get(HEADLINE)
    return {
        "name": name,
        "share": None if share is None else percent(share),
        "real": None if not real else percent(real),
    }


def _groups(record: Record) -> list[str]:
    """A line a cluster."""
    if not record.clusters:
        return []
    groups: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for client, entry in record.clusters[-1]["clients"].items():
        groups[entry["cluster"]][record.domain_of.get(int(client), "unknown")] += 1
    return [
        f"cluster {number}: {', '.join(f'{count} of {domain}' for domain, count in domains.items())}"
        for number, domains in sorted(groups.items())
    ]


def _agreement(record: Record) -> str | None:
    agreement = next((entry.get("cluster_agreement") for entry in reversed(record.rounds)), None)
    if agreement is None or len(record.domains) < 2:
        return None
    return f"adjusted Rand index with the true domains {agreement:.2f} (1: equal, 0: chance)"
