"""Training that goes wrong, seen in what a run tells of its rounds: a line for each sign, with what to try.

A sign is told when it appears, once for as long as it lasts. Each is a rule of thumb, held against lines of
`metrics.jsonl`; none stops a run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import median
from typing import Any

from raygan.config.schema import TrainingConfig
from raygan.scores import SCORES

Line = Mapping[str, Any]
"""Of `metrics.jsonl`."""
SURE, BLIND = 0.95, 0.02
"""D knows almost everything where D(real) is above the first and D(fake) below the rest; and nothing where they differ by
less than the second."""
LASTS = 3
"""Rounds in a row of what may be chance in one."""
GREW, VANISHED = 10.0, 1e-6
"""A gradient's norm in its median over the rounds before, and in itself."""
FELL = 0.1
"""Share of a score that is lost over these rounds."""
WATCHED = ("label_agreement", "classifier_fid", "coverage")
FEWEST_IMAGES = 500
"""Scores of fewer generated images are not judged."""
UNCOVERED, COVERED = 0.1, 0.3
"""A class has collapsed where its coverage is below the first, while it was above the second before, or the median
class is."""
TRY_LOWER = "try a lower training.lr"


def new_signs(lines: Sequence[Line]) -> list[str]:
    """The signs of the last round that were none of the round before.

    Args:
        lines: of all rounds so far.
    """
    before = _signs(lines[:-1])
    return [text for name, text in _signs(lines).items() if name not in before]


NOT_FINITE = "not finite"
"""What parties say of numbers that have become NaN or infinite."""


def not_finite(training: TrainingConfig) -> str:
    """What to do about numbers that are not finite."""
    lr = training.lr if isinstance(training.lr, float) else training.lr.model_dump()
    return f"training has diverged: lower training.lr (it is {lr})"


def _signs(lines: Sequence[Line]) -> dict[str, str]:
    if not lines:
        return {}
    found = {**_of_probabilities(lines), **_of_gradients(lines)}
    scored = [line for line in lines if line.get("scores")]
    if scored and scored[-1] is lines[-1]:
        for domain in scored[-1]["scores"]:
            found |= dict(_of_scores(domain, scored))
            found |= dict(_of_classes(domain, scored))
    return {name: f"round {lines[-1]['round']}: {text}" for name, text in found.items()}


def _of_probabilities(lines: Sequence[Line]) -> dict[str, str]:
    last = [_probabilities(line) for line in lines[-LASTS:]]
    pairs = [pair for pair in last if pair is not None]
    if len(pairs) < LASTS:
        return {}
    real, fake = pairs[-1]
    told = f"D(real) is {real:.2f} and D(fake) {fake:.2f}"
    if all(one > SURE and other < 1 - SURE for one, other in pairs):
        return {
            "sure": f"{told}: D knows almost every fake, and G learns little; try a lower training.lr.discriminator"
        }
    if all(abs(one - other) < BLIND for one, other in pairs):
        return {
            "blind": f"{told}: D tells nothing apart; try a higher training.lr.discriminator, or a larger model.width"
        }
    return {}


def _probabilities(line: Line) -> tuple[float, float] | None:
    found = line.get("statistics", {})
    real, fake = found.get("discriminator_real"), found.get("discriminator_fake")
    return None if real is None or fake is None else (real, fake)


def _of_gradients(lines: Sequence[Line]) -> dict[str, str]:
    found = {}
    for name, norm in lines[-1].get("statistics", {}).items():
        if not name.endswith("_gradient_norm") or norm is None:
            continue
        earlier = [old for line in lines[:-1] if (old := line.get("statistics", {}).get(name)) is not None]
        words = name.replace("_", " ")
        if norm < VANISHED:
            found[name] = (
                f"the {words} is {norm:.2g}: nothing is learnt; try a lower training.lr, or another training.loss"
            )
        elif len(earlier) >= LASTS and norm > GREW * median(earlier):
            usual = f"{median(earlier):.2g} in the rounds before"
            found[name] = f"the {words} is {norm:.2g}, {usual}: training diverges; {TRY_LOWER}"
    return found


def _of_scores(domain: str, scored: Sequence[Line]) -> Iterator[tuple[str, str]]:
    for name in WATCHED:
        of_domain = [(line["round"], line["scores"].get(domain, {}).get(name)) for line in scored]
        known = [(number, value) for number, value in of_domain if value is not None]
        last = [value for _, value in known[-LASTS - 1 :]]
        if len(last) <= LASTS or not _is_judged(domain, scored[-1]):
            continue
        sign = 1 if SCORES[name].mode == "max" else -1
        steps = [sign * (after - before) for before, after in pairwise(last)]
        if max(steps) < 0 and abs(last[-1] - last[0]) > FELL * abs(last[0]):
            best, _ = max(known, key=lambda pair: sign * pair[1])
            yield (
                f"{domain}/{name}",
                f"{domain}: {name.replace('_', ' ')} has become worse {LASTS} times in a row, from {last[0]:.3g} to "
                f"{last[-1]:.3g}; round {best} was the best; {TRY_LOWER}, or training.average",
            )


def _of_classes(domain: str, scored: Sequence[Line]) -> Iterator[tuple[str, str]]:
    if not _is_judged(domain, scored[-1]):
        return
    tables = [line["scores"].get(domain, {}).get("class_coverage") or {} for line in scored]
    now = {label: value for label, value in tables[-1].items() if label != "images"}
    for label, value in now.items():
        best = max((table[label] for table in tables[:-1] if label in table), default=0.0)
        if value < UNCOVERED and (best > COVERED or median(now.values()) > COVERED):
            yield (
                f"{domain}/class {label}",
                f"{domain}: samples of class {label} come near {100 * value:.0f}% of its real images: it has collapsed, "
                f"or was not learnt; try training.average, a lower training.lr.generator or more images of it",
            )


def _is_judged(domain: str, line: Line) -> bool:
    return (line["scores"].get(domain, {}).get("images") or 0) >= FEWEST_IMAGES
