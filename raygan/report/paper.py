"""A scenario's published figures beside ours, with what differs (arXiv 2507.12979)."""

from __future__ import annotations

from collections.abc import Iterator
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
    differs = [tag("li", line) for line in _differences(record, number)]
    return section(
        "paper",
        f"Scenario {number} of the paper",
        tag("p", "Usefulness: accuracy on real test images of a CNN trained on synthetic images alone."),
        table(("domain", "published (30k)", "this run", "its data"), rows),
        tag("h3", "What differs from the published set-up"),
        tag("ul", differs) if differs else tag("p", "Nothing that the configuration says."),
    )


def _differences(record: Record, scenario: int) -> list[str]:
    """The keys of the scenario that this run has set otherwise, and what else bears on the scores."""
    lines = list(_differing(record.config.model_dump(mode="json"), scenario_settings(scenario)))
    lines += [
        f"{name}: at most {domain.limit:,} training images"
        for name, domain in zip(record.domains, record.config.data.domains, strict=True)
        if domain.limit
    ]
    if len(record.rounds) < record.config.training.rounds:
        lines.append(f"only {len(record.rounds)} rounds have ended")
    return lines


def _differing(ours: Any, published: Any, key: str = "") -> Iterator[str]:
    if isinstance(published, (dict, list)):
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
