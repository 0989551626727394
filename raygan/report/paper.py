"""A scenario's published figures beside ours, with what differs (arXiv 2507.12979)."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from raygan.config.loading import make_config
from raygan.markup import Table
from raygan.report.record import Record

SETS = ("mnist", "fashion_mnist", "kmnist", "notmnist")
PUBLISHED = {
    1: (97.87,),
    2: (97.17,),
    3: (96.83, 82.93),
    4: (96.21, 81.90),
    5: (96.15, 81.46),
    6: (95.94, 81.94, 72.91, 88.30),
}
"""Accuracy, percent, on the real test set of a CNN trained on 30,000 synthetic images, domain by domain."""
METHOD: dict[str, Any] = {
    "model": {"image_size": 28, "latent_size": 100, "label_embedding_size": 10, "blocks": None}
    | {"networks": "paper", "spectral_norm": False},
    "training": {"loss": "bce", "betas": [0.5, 0.999], "participation": 1.0}
    | {"r1": 0.0, "augment": [], "fake_labels": "own", "lr_schedule": "constant"},
    "clusters": {
        "clustering": "kmeans",
        "weighting": "kld",
        "aggregation": "holes",
        "beta": 1.0,
        "warmup_rounds": 2,
        "feature_batches": 1,
    },
    "cuts": {"solver": "ga"},
    "wire": {"codec": "float32"},
}
"""What the published code does beside the scenario's own keys; of keys that are neither here nor there, it does what they
do by default. It is also told the number of clusters: the domains."""
WITHOUT_BEARING = (
    *("seed", "scenario", "ray", "devices", "evaluation", "checkpoints", "clusters.count"),
    *("data.root", "data.download", "training.min_clients", "privacy.keys"),
    *("cuts.fixed", "cuts.ga", "cuts.time_limit_s", "cuts.seconds_per_mb", "cuts.leakage"),
)
"""Keys on which no score depends, or of which `_differences` says more, or less."""
BEARING = ("ray.step_deadline_s", "devices.fits", "evaluation.usefulness_images")
"""Of those sections, keys on which scores do depend."""


def beside_the_paper(record: Record) -> dict[str, Any] | None:
    """None where the run is not a scenario of the paper."""
    number = record.config.scenario
    if number is None:
        return None
    rows = []
    for place, accuracy in enumerate(PUBLISHED[number]):
        ours = record.domains[place] if place < len(record.domains) else None
        rows.append((SETS[place], f"{accuracy:.2f}%", _ours(record.scores.get(ours or "")), ours or "-"))
    return {
        "scenario": number,
        "table": Table(("domain", "published (30k)", "this run", "its data"), rows),
        "differences": _differences(record, number),
    }


def _differences(record: Record, scenario: int) -> list[str]:
    """The keys that this run has otherwise than the published code, and what else bears on the scores."""
    published = make_config({"scenario": scenario, **METHOD})
    ours, theirs = (_bearing(config.model_dump(mode="json")) for config in (record.config, published))
    lines = list(_differing(ours, theirs))
    if record.config.clusters.count != (told := len(PUBLISHED[scenario])):
        lines.append(f"clusters.count: {record.config.clusters.count} here, {told} told to the published code")
    lines.append(
        f"the deal: which classes and images a client has is drawn from seed {record.config.seed} here; the published "
        "code has fixed seeds of its own"
    )
    lines.append("minibatches: passes over a client's images here, each drawn from all of them in the published code")
    fleet = ", ".join(dict.fromkeys(record.config.devices.fleet))
    lines.append(f"cuts: for {fleet} here; the published code's are for seven devices of its own")
    if len(record.rounds) < record.config.training.rounds:
        lines.append(f"only {len(record.rounds)} rounds have ended")
    return lines


def _bearing(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings on which scores depend."""
    kept = copy.deepcopy(settings)
    for key in WITHOUT_BEARING:
        section, _, name = key.partition(".")
        (kept[section] if name else kept).pop(name or section)
    for domain in kept["data"]["domains"]:
        domain.pop("labels")
    for key in BEARING:
        section, name = key.split(".")
        kept.setdefault(section, {})[name] = settings[section][name]
    return kept


def _differing(ours: Any, published: Any, key: str = "") -> Iterator[str]:
    """A line for each key; of a list, for each entry that both have."""
    if isinstance(ours, dict) and isinstance(published, dict):
        for name, part in published.items():
            yield from _differing(ours[name], part, f"{key}.{name}" if key else str(name))
    elif isinstance(ours, list) and isinstance(published, list) and ours and published:
        for number, (mine, theirs) in enumerate(zip(ours, published, strict=False)):
            yield from _differing(mine, theirs, f"{key}.{number}")
        if len(ours) != len(published):
            yield f"{key}: {len(ours)} here, {len(published)} published"
    elif ours != published:
        yield f"{key}: {ours} here, {published} published"


def _ours(entry: dict[str, Any] | None) -> str:
    useful = (entry or {}).get("usefulness")
    if not useful:
        return "not computed (evaluation.usefulness_images)"
    return f"{100 * useful['accuracy']:.2f}% ({int(useful['images']):,} images)"
