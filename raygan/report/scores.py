"""The last scores, and what bears on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from raygan.data import domain_names
from raygan.errors import InputError
from raygan.markup import Table
from raygan.report.record import Record
from raygan.run.score_table import score_table
from raygan.run.stored import Run
from raygan.scores import fid_bias


def last_scores(record: Record) -> dict[str, Any]:
    """`scores`: None, or their round and table; `biases` of the FID and of models for several domains, in words."""
    if not record.scores:
        return {"scores": None, "biases": ""}
    kind = record.run.model_kind
    mixed = mixed_domains(record.run, record.scores)
    told = [f"{kind.capitalize()} {model} serves {capped(domains)}." for model, domains in mixed.items()]
    scores = {"round": record.scored[-1]["round"], "table": Table(*score_table(record.scores, kind))}
    return {"scores": scores, "biases": " ".join(filter(None, (_biases(record), *told)))}


def mixed_domains(run: Run, scores: Mapping[str, Any]) -> dict[str, list[str]]:
    """Model -> the domains that it serves, where these give the same label numbers to different classes.

    Args:
        scores: of a round, by domain.
    """
    with suppress(InputError):
        classes = dict(zip(domain_names(run.config.data), (info.classes for info in run.infos), strict=True))
        serves: dict[str, list[str]] = {}
        for domain, entry in scores.items():
            for model in entry.get("clusters", {}):
                serves.setdefault(model, []).append(domain)
        return {model: mine for model, mine in serves.items() if len({classes.get(domain) for domain in mine}) > 1}
    return {}


def capped(domains: Sequence[str]) -> str:
    """What it means for scores that one model serves these domains."""
    names = f"{', '.join(domains[:-1])} and {domains[-1]}"
    share = f"one in {len(domains)}" if len(domains) > 2 else "half"
    return f"{names}, whose classes share label numbers: about {share} of its samples can show the class asked for"


def _biases(record: Record) -> str:
    """What few test images do to the FID of a domain."""
    with suppress(InputError):  # without domains.json nobody knows how many there are
        infos = record.run.infos
        names = domain_names(record.config.data)
        told = [(name, fid_bias(info.num_test)) for name, info in zip(names, infos, strict=True)]
        return " ".join(f"{name} has {bias}." for name, bias in told if bias)
    return ""
