"""What a trial reports after every round: one flat mapping of names to numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raygan.config.schema import Config
from raygan.data import domain_names
from raygan.errors import ConfigError, instead_of

SCORES = ("label_agreement", "generation_score", "classifier_fid", "inception_fid")
"""Scores of `metrics.jsonl` that are reported as means over the domains, and with `/DOMAIN` for each."""
USEFULNESS = "usefulness_accuracy"
"""After the last round, where `evaluation.usefulness_images` asks for it."""
MEASURES = (
    "latency_s",
    "overlapped_s",
    "bytes_per_round",
    "bytes_total",
    "seconds",
    "clusters",
    "cluster_agreement",
    "discriminator_loss",
    "generator_loss",
)
"""Predicted seconds of an iteration (with and without barriers), bytes up and down, seconds of the round, and more."""


def reported(metrics: Mapping[str, Any], cuts: Mapping[str, Any], bytes_before: int) -> dict[str, Any]:
    """One round's report.

    Args:
        metrics: the round's line of `metrics.jsonl`.
        cuts: `cuts.json`.
        bytes_before: bytes up and down of the rounds before.
    """
    moved = metrics["bytes_up"] + metrics["bytes_down"]
    found = {
        "round": metrics["round"],
        "latency_s": cuts["latency_s"],
        "overlapped_s": cuts["overlapped_s"],
        "bytes_per_round": moved,
        "bytes_total": bytes_before + moved,
        **{
            name: metrics[name]
            for name in ("seconds", "clusters", "cluster_agreement", "discriminator_loss", "generator_loss")
        },
        **_scores(metrics["scores"]),
    }
    return {name: value for name, value in found.items() if value is not None}


def known_metrics(config: Config) -> list[str]:
    """The names that a search may optimise."""
    scores = [*SCORES, USEFULNESS]
    by_domain = [f"{score}/{domain}" for score in scores for domain in domain_names(config.data)]
    return [*scores, *by_domain, *MEASURES]


def check_metrics(names: tuple[str, ...], config: Config) -> None:
    """Refuses a metric that nobody reports, or that this configuration does not compute.

    Raises:
        ConfigError: naming it.
    """
    known = known_metrics(config)
    for name in names:
        if name not in known:
            raise ConfigError("metric", f"{name!r} is not reported", instead_of(name, known, SCORES))
        score = name.split("/")[0]
        if score == USEFULNESS and config.evaluation.usefulness_images is None:
            raise ConfigError("metric", f"{name} is not computed", "set base.evaluation.usefulness_images")
        if score == "inception_fid" and not config.evaluation.inception_fid:
            raise ConfigError("metric", f"{name} is not computed", "set base.evaluation.inception_fid")


def _scores(scores: Mapping[str, Any]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name in (*SCORES, USEFULNESS):
        values = {domain: _score(entry, name) for domain, entry in scores.items()}
        known = {domain: value for domain, value in values.items() if value is not None}
        if known and len(known) == len(values):
            found[name] = sum(known.values()) / len(known)
        found |= {f"{name}/{domain}": value for domain, value in known.items()}
    return found


def _score(entry: Mapping[str, Any], name: str) -> float | None:
    if name == USEFULNESS:
        return (entry.get("usefulness") or {}).get("accuracy")
    return entry.get(name)
