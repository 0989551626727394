"""Who was in which cluster, round by round, and with which weight."""

from __future__ import annotations

from typing import Any

from raygan.algorithms import algorithm_of
from raygan.report.curves import PALETTE
from raygan.report.record import MAX_CLIENTS, MAX_ROUNDS, Record, spread
from raygan.report.words import percent


def no_clusters(record: Record) -> str:
    """Why there are none."""
    makes_some = "clusters" in algorithm_of(record.config.algorithm).record_names
    return "No round has ended." if makes_some else f"{record.config.algorithm!r} makes no clusters."


def weights(record: Record) -> dict[str, Any] | None:
    """A row a client, a cell a round: the colour is the cluster, the number the client's weight in it. None: no
    clusters."""
    if not record.clusters:
        return None
    rounds = spread(record.clusters, MAX_ROUNDS)
    clients = list(record.domain_of)[:MAX_CLIENTS]
    seen = sorted({e["cluster"] for entry in rounds for e in entry["clients"].values()})
    return {
        "legend": [{"number": number, "colour": _colour(number)} for number in seen],
        "rounds": [entry["round"] for entry in rounds],
        "rows": [_row(record, client, rounds) for client in clients],
        "left_out": len(record.domain_of) - len(clients),
        "spread": _spread_of_weights(record),
    }


def _row(record: Record, client: int, rounds: list[dict[str, Any]]) -> dict[str, Any]:
    entries = [(entry["round"], entry["clients"].get(str(client))) for entry in rounds]
    kld = (entries[-1][1] or {}).get("kld")
    return {
        "client": client,
        "words": f"{record.domain_of[client]}, {record.device_of[client]}",
        "cells": [_cell(*entry) for entry in entries],
        "kld": "-" if kld is None else f"{kld:.4f}",
    }


def _cell(number: int, entry: dict[str, Any] | None) -> dict[str, Any] | None:
    if entry is None:
        return None
    return {
        "round": number,
        "weight": percent(entry["weight"], 1),
        "words": f"round {number}: cluster {entry['cluster']}, weight {percent(entry['weight'], 2)}",
        "colour": _colour(entry["cluster"]),
    }


def _colour(cluster: int) -> str:
    return PALETTE[cluster % len(PALETTE)]


def _spread_of_weights(record: Record) -> str | None:
    last = record.clusters[-1]
    klds = [entry["kld"] for entry in last["clients"].values() if entry["kld"] is not None]
    given = [entry["weight"] for entry in last["clients"].values()]
    if not klds:
        return None
    return (
        f"After round {last['round']}, KLD runs from {min(klds):.4g} to {max(klds):.4g} nats and weights from "
        f"{percent(min(given), 2)} to {percent(max(given), 2)} (beta {record.config.clusters.beta:g})."
    )
