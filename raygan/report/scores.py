"""The last scores, and what bears on them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from raygan.data import domain_names
from raygan.errors import InputError
from raygan.markup import Table
from raygan.report.record import Record
from raygan.run.score_table import score_table
from raygan.scores import fid_bias


def last_scores(record: Record) -> dict[str, Any]:
    """`scores`: None, or their round and table; `biases` of the FID, in words."""
    if not record.scores:
        return {"scores": None, "biases": ""}
    table = Table(*score_table(record.scores, record.run.model_kind))
    return {"scores": {"round": record.scored[-1]["round"], "table": table}, "biases": _biases(record)}


def _biases(record: Record) -> str:
    """What few test images do to the FID of a domain."""
    with suppress(InputError):  # without domains.json nobody knows how many there are
        infos = record.run.infos
        names = domain_names(record.config.data)
        told = [(name, fid_bias(info.num_test)) for name, info in zip(names, infos, strict=True)]
        return " ".join(f"{name} has {bias}." for name, bias in told if bias)
    return ""
