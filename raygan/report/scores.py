"""The last scores, and what bears on them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from raygan.data import domain_names
from raygan.errors import InputError
from raygan.markup import Table
from raygan.report.record import Record
from raygan.run.score_table import capped, mixed_domains, score_table
from raygan.scores import fid_bias


def last_scores(record: Record) -> dict[str, Any]:
    """`scores`: None, or their round and table; `biases` of the FID and of models for several domains, in words."""
    if not record.scores:
        return {"scores": None, "biases": ""}
    kind = record.run.model_kind
    scores = {"round": record.scored[-1]["round"], "table": Table(*score_table(record.scores, kind))}
    return {"scores": scores, "biases": _biases(record)}


def _biases(record: Record) -> str:
    """What few test images do to the FID of a domain, and what one model for several domains can reach."""
    with suppress(InputError):  # without domains.json nobody knows how many there are
        run = record.run
        names = domain_names(record.config.data)
        few = [(name, fid_bias(info.num_test)) for name, info in zip(names, run.infos, strict=True)]
        mixed = mixed_domains(run.classes, record.scores)
        return " ".join(
            [f"{name} has {bias}." for name, bias in few if bias]
            + [f"{run.model_kind.capitalize()} {model} serves {capped(domains)}." for model, domains in mixed.items()]
        )
    return ""
