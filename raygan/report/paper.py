"""A scenario's published figures beside ours, with what differs (arXiv 2507.12979)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from raygan.config.scenarios import scenario_settings
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
    "algorithm": "huscf",
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
    "ray": {"step_deadline_s": None},
}
"""What the published code does beside the scenario's own keys. It is also told the number of clusters: the domains."""


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
    ours = record.config.model_dump(mode="json")
    lines = list(_differing(ours, scenario_settings(scenario)))
    lines += _differing(ours, METHOD)
    if record.config.clusters.count != (told := len(PUBLISHED[scenario])):
        lines.append(f"clusters.count: {record.config.clusters.count} here, {told} told to the published code")
    lines.append(
        f"the deal: which classes and images a client has is drawn from seed {record.config.seed} here; the published "
        "code has fixed seeds of its own"
    )
    lines.append("minibatches: passes over a client's images here, each drawn from all of them in the published code")
    lines += [
        f"{name}: at most {domain.limit:,} training images"
        for name, domain in zip(record.domains, record.config.data.domains, strict=True)
        if domain.limit
    ]
    if len(record.rounds) < record.config.training.rounds:
        lines.append(f"only {len(record.rounds)} rounds have ended")
    return lines


def _differing(ours: Any, published: Any, key: str = "") -> Iterator[str]:
    if isinstance(published, (dict, list)) and published:
        for name, part in published.items() if isinstance(published, dict) else enumerate(published):
            try:
                below = ours[name]
            except (KeyError, IndexError, TypeError):
                below = None
            yield from _differing(below, part, f"{key}.{name}" if key else str(name))
    elif ours != published:
        yield f"{key}: {ours} here, {published} published"


def _ours(entry: dict[str, Any] | None) -> str:
    useful = (entry or {}).get("usefulness")
    if not useful:
        return "not computed (evaluation.usefulness_images)"
    return f"{100 * useful['accuracy']:.2f}% ({int(useful['images']):,} images)"
