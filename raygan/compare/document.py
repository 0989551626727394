"""`compare.json`: every variant's scores with their spread, its difference from the reference, and what it costs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from raygan.algorithms import algorithm_of
from raygan.compare.differences import difference
from raygan.config.schema import Config
from raygan.data import domain_names
from raygan.errors import ConfigError, RunError
from raygan.run.folder import RunFolder
from raygan.run.score_table import mixed_domains
from raygan.run.stored import Run
from raygan.scores import SCORES, Score
from raygan.search.reported import bytes_per_client
from raygan.search.results import Results
from raygan.search.schema import VARIANT
from raygan.search.search import Search
from raygan.storage import read_json_lines

COSTS = ("iteration_s", "round_s", "memory_bytes", "bytes_per_client", "seconds")
"""As trials report them: predicted seconds of an iteration and of a round on the fleet, the most that a device needs,
bytes of a client and round both ways, and seconds that a round took here."""
Document = Mapping[str, Any]


def check_comparison(search: Search) -> None:
    """Refuses a search that compares nothing.

    Raises:
        ConfigError: fewer than two variants, or something else to search.
    """
    if len(search.config.variants) < 2:
        found = f"{len(search.config.variants)} variants"
        raise ConfigError("variants", found, "give at least two, such as {huscf: {}, fed_gan: {algorithm: fed_gan}}")
    if search.config.space:
        found = f"{next(iter(search.config.space))} is searched as well"
        raise ConfigError("space", found, "leave it out, or use raygan tune")
    if search.config.scheduler is not None:
        raise ConfigError("scheduler", "it stops variants early", "leave it out: all are to train alike")


def comparison(results: Results) -> Document:
    """The document. Variants come best first, by the search's first metric."""
    search, table = results.search, results.table()
    config = search.config_of(search.points()[0])
    domains = domain_names(config.data)
    scores = [score for score in SCORES.values() if score.reported in table]
    reference = search.config.reference or next(iter(search.config.variants))
    rows = [_variant(search, table, name, scores, domains, reference) for name in search.config.variants]
    metric, sign = results.metric, -1 if results.is_max else 1
    rows.sort(key=lambda row: sign * row["scores"].get(metric, {}).get("mean", sign * math.inf))
    return {
        "question": search.config.question or "Which is best, by how much, at what cost?",
        "metric": metric,
        "mode": search.config.modes[0],
        "reference": reference,
        "seeds": list(search.config.seeds),
        "domains": domains,
        "rounds": config.training.rounds,
        "clients": config.num_clients,
        "variants": rows,
    }


def _variant(
    search: Search, table: pd.DataFrame, name: str, scores: list[Score], domains: list[str], reference: str
) -> dict[str, Any]:
    config = search.config_of({VARIANT: name})
    algorithm = algorithm_of(config.algorithm)
    mine = _ended(table, name)
    return {
        "name": name,
        "algorithm": algorithm.name,
        "style": algorithm.style,
        "seeds": [int(seed) for seed in mine.index],
        "scores": {score.reported: _score(mine, score, domains) for score in scores if _known(mine, score)},
        "differences": {
            score.reported: found
            for score in scores
            if name != reference and (found := _difference(mine, _ended(table, reference), score, domains))
        },
        "costs": _costs(mine),
        "sit_out": _sit_out(config, mine),
        "mixes": _mixes(mine),
        "leaves": sorted(kind.__name__ for kind in algorithm.worker_type.sends),
        "runs": [str(run) for run in mine["run"].dropna()],
    }


def _costs(mine: pd.DataFrame) -> dict[str, float]:
    """Means over the runs; of bytes over their rounds as well, since some algorithms send much in one round alone."""
    found = {cost: float(mine[cost].mean()) for cost in COSTS if cost in mine and mine[cost].notna().any()}
    files = [RunFolder(Path(run)).metrics_file for run in mine["run"].dropna()]
    counted = [bytes_per_client(line) for file in files for line in read_json_lines(file)]
    known = [count for count in counted if count is not None]
    return found | ({"bytes_per_client": sum(known) / len(known)} if known else {})


def _sit_out(config: Config, mine: pd.DataFrame) -> dict[str, int]:
    """Device profile -> its clients, where it cannot hold what the algorithm leaves on it (`devices.fits: drop`)."""
    limits = {name: config.devices.profile(name).memory_bytes for name in config.devices.fleet}
    found: dict[str, int] = {}
    for run in mine["run"].dropna():
        costs = RunFolder(Path(run)).documents().get("costs", {})
        small = [name for name in limits if _needs_more(costs.get("memory_bytes", {}).get(name), limits[name])]
        found |= {name: config.profiles.count(name) for name in small}
    return found


def _mixes(mine: pd.DataFrame) -> list[str]:
    """The domains that one model serves though they share label numbers, after the last scored round of a run."""
    with suppress(RunError):
        for run in mine["run"].dropna():
            scored = [line["scores"] for line in RunFolder(Path(run)).metrics() if line.get("scores")]
            for domains in mixed_domains(Run.load(run).classes, scored[-1]).values() if scored else ():
                return domains
    return []


def _needs_more(needed: float | None, limit: float | None) -> bool:
    return needed is not None and limit is not None and needed > limit


def _ended(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The variant's trials that ran to their end, by seed."""
    mine = table[(table[VARIANT] == name) & (table["status"] == "ended")]
    return mine.set_index("seed").sort_index()


def _known(mine: pd.DataFrame, score: Score) -> bool:
    return bool(mine[score.reported].notna().any())


def _score(mine: pd.DataFrame, score: Score, domains: list[str]) -> dict[str, Any]:
    by_domain = {domain: mine.get(f"{score.reported}/{domain}") for domain in domains}
    spread = {domain: _spread(values) for domain, values in by_domain.items() if values is not None}
    return {**_spread(mine[score.reported]), "domains": spread}


def _spread(values: pd.Series[float]) -> dict[str, float | None]:
    """Mean and standard deviation (of a sample) over the seeds; of one seed there is none."""
    known = values.dropna()
    return {"mean": float(known.mean()), "std": float(known.std()) if len(known) > 1 else None}


def _difference(
    mine: pd.DataFrame, theirs: pd.DataFrame, score: Score, domains: list[str]
) -> dict[str, float | int | None] | None:
    columns = [f"{score.reported}/{domain}" for domain in domains]
    columns = [name for name in columns if name in mine and name in theirs]
    one, other = mine[columns].dropna(), theirs[columns].dropna()
    seeds = [seed for seed in one.index if seed in other.index]
    if not columns or not seeds:
        return None
    mode = score.parts[0].mode if score.parts else score.mode
    found = difference(one.loc[seeds].to_numpy().tolist(), other.loc[seeds].to_numpy().tolist(), mode == "max")
    return asdict(found)
