"""What a trial reports after every round: one flat mapping of names to numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raygan.config.schema import Config
from raygan.data import domain_names
from raygan.errors import ConfigError, instead_of
from raygan.scores import SCORES, names, single

OF_CUTS = ("latency_s", "overlapped_s")
"""Predicted seconds of an iteration, with and without barriers, as in `cuts.json`."""
OF_ROUND = ("seconds", "clusters", "cluster_agreement", "discriminator_loss", "generator_loss")
"""As in a line of `metrics.jsonl`; `seconds` of the round."""
OF_FLEET = ("iteration_s", "round_s", "memory_bytes")
"""As predicted (`costs.json`): seconds of an iteration and of a round, and the most that a device must hold."""
MEASURES = (*OF_CUTS, *OF_FLEET, "bytes_per_round", "bytes_total", "bytes_per_client", *OF_ROUND)


def reported(
    metrics: Mapping[str, Any], documents: Mapping[str, Mapping[str, Any]], bytes_before: int
) -> dict[str, Any]:
    """One round's report, without what is not known.

    Args:
        metrics: the round's line of `metrics.jsonl`.
        documents: `cuts.json` and `costs.json`, by name.
        bytes_before: bytes up and down of the rounds before.
    """
    moved = metrics["bytes_up"] + metrics["bytes_down"]
    found = {
        "round": metrics["round"],
        **{name: documents.get("cuts", {}).get(name) for name in OF_CUTS},
        **(of_fleet(metrics, documents["costs"]) if "costs" in documents else {}),
        "bytes_per_round": moved,
        "bytes_total": bytes_before + moved,
        "bytes_per_client": bytes_per_client(metrics),
        **{name: metrics.get(name) for name in OF_ROUND},
        **metrics.get("statistics", {}),
        **_scores(metrics["scores"]),
    }
    return {name: value for name, value in found.items() if value is not None}


def of_fleet(metrics: Mapping[str, Any], costs: Mapping[str, Any]) -> dict[str, float | None]:
    """What the round costs on the fleet, as predicted. A round is its iterations and, over the slowest links, what
    clients exchange beside them: networks that are averaged or moved.

    Args:
        metrics: a line of `metrics.jsonl`.
        costs: `costs.json`.
    """
    found = {"iteration_s": costs["iteration_s"], "memory_bytes": max(costs["memory_bytes"].values(), default=0.0)}
    if metrics.get("steps") is None or not metrics["clients"]:
        return found
    links = {link: sum(kind["bytes"] for kind in kinds.values()) for link, kinds in metrics["links"].items()}
    moved = links.get("client -> client", 0)
    up = (links.get("client -> aggregator", 0) + moved) / metrics["clients"] / costs["up_bytes_per_s"]
    down = (links.get("aggregator -> client", 0) + moved) / metrics["clients"] / costs["down_bytes_per_s"]
    return {**found, "round_s": metrics["steps"] * costs["iteration_s"] + up + down}


def bytes_per_client(metrics: Mapping[str, Any]) -> float | None:
    """Bytes of a client and round, both ways together, of whatever crosses but the models that are scored; None: of a run
    that did not count them.

    Args:
        metrics: a line of `metrics.jsonl`.
    """
    if "links" not in metrics:
        return None
    moved = 0.0
    for link, kinds in metrics["links"].items():
        ends = link.split(" -> ")
        if "evaluator" not in ends:
            moved += ends.count("client") * sum(kind["bytes"] for kind in kinds.values())
    return moved / float(metrics["clients"])


def known_metrics(config: Config) -> list[str]:
    """The names that a search may optimise: scores as means over the domains, with `/DOMAIN` for each, and more."""
    scores = [score.reported for score in SCORES.values()]
    by_domain = [f"{score}/{domain}" for score in scores for domain in domain_names(config.data)]
    return [*scores, *by_domain, *MEASURES]


def check_metrics(metrics: tuple[str, ...], config: Config) -> None:
    """Refuses a metric that nobody reports, or that this configuration does not compute.

    Raises:
        ConfigError: naming it.
    """
    known = known_metrics(config)
    scores = {score.reported: score for score in SCORES.values()}
    for name in metrics:
        if name not in known:
            remedy = instead_of(name, known, names(single()))
            raise ConfigError("metric", f"{name!r} is not reported", remedy)
        score = scores.get(name.split("/")[0])
        if score is not None and score.num_images(config.evaluation) is None:
            raise ConfigError("metric", f"{name} is not computed", f"set base.evaluation.{score.asked_by}")


def _scores(scores: Mapping[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for score in SCORES.values():
        values = {domain: score.number(entry) for domain, entry in scores.items()}
        known = {domain: value for domain, value in values.items() if value is not None}
        if known and len(known) == len(values):
            found[score.reported] = sum(known.values()) / len(known)
        found |= {f"{score.reported}/{domain}": value for domain, value in known.items()}
    return found
