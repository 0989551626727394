"""A scenario's published figures beside ours, with what differs (arXiv 2507.12979)."""

from __future__ import annotations

from typing import Any

from raygan.config.scenarios import scenario_settings
from raygan.report.html import Html, section, table, tag
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


def paper_section(record: Record) -> Html | None:
    """None where the run is not a scenario of the paper."""
    number = record.config.scenario
    if number is None:
        return None
    published = PUBLISHED[number]
    rows = []
    for place, accuracy in enumerate(published):
        ours = record.domains[place] if place < len(record.domains) else None
        rows.append((SETS[place], f"{accuracy:.2f}%", _ours(record.scores.get(ours or "")), ours or "-"))
    differs = [tag("li", line) for line in differences(record)]
    return section(
        "paper",
        f"Scenario {number} of the paper",
        tag("p", "Usefulness: accuracy on real test images of a CNN trained on synthetic images alone."),
        table(("domain", "published (30k)", "this run", "its data"), rows),
        tag("h3", "What differs from the published set-up"),
        tag("ul", differs) if differs else tag("p", "Nothing that the configuration says."),
    )


def differences(record: Record) -> list[str]:
    """The keys of the scenario that this run has set otherwise, and what else bears on the scores."""
    config = record.config.model_dump(mode="json")
    assert record.config.scenario is not None
    lines = [
        f"{key}: {_get(config, key)} here, {value} published"
        for key, value in _flat(scenario_settings(record.config.scenario)).items()
        if _get(config, key) != value
    ]
    lines += [
        f"{name}: at most {domain.limit:,} training images"
        for name, domain in zip(record.domains, record.config.data.domains, strict=True)
        if domain.limit
    ]
    if len(record.rounds) < record.config.training.rounds:
        lines.append(f"only {len(record.rounds)} rounds have ended")
    return lines


def _ours(entry: dict[str, Any] | None) -> str:
    useful = (entry or {}).get("usefulness")
    if not useful:
        return "not computed (evaluation.usefulness_images)"
    return f"{100 * useful['accuracy']:.2f}% ({int(useful['images']):,} images)"


def _flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    if isinstance(settings, dict):
        items = [(str(key), value) for key, value in settings.items()]
    elif isinstance(settings, list):
        items = [(str(number), value) for number, value in enumerate(settings)]
    else:
        return {prefix: settings}
    return {
        key: value
        for name, part in items
        for key, value in _flat(part, f"{prefix}.{name}" if prefix else name).items()
    }


def _get(node: Any, key: str) -> Any:
    for part in key.split("."):
        if isinstance(node, list):
            node = node[int(part)] if int(part) < len(node) else None
        elif isinstance(node, dict):
            node = node.get(part)
        else:
            return None
    return node
