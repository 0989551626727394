"""The last picture of each model, large, then how each came to be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, NamedTuple

from raygan.markup import Picture
from raygan.report.record import Record, spread
from raygan.report.words import many

STRIP_ROUNDS, MAX_STRIP_BYTES = 5, 2_000_000
"""Pictures of each model on the way, as long as all together are no larger than this."""


class Sound(NamedTuple):
    """A WAV file inside the page."""

    content: bytes
    caption: str


def samples_by_round(record: Record) -> dict[str, Any] | None:
    """None: no picture has been drawn."""
    if not record.pictures:
        return None
    rounds: defaultdict[int, list[int]] = defaultdict(list)
    for number, model in sorted(record.pictures):
        rounds[model].append(number)
    last = max(number for number, _ in record.pictures)
    models = [model for model in sorted(rounds) if last in rounds[model]]
    count = _strip_rounds(record, rounds)
    return {
        "round": last,
        "words": f"Each picture is of one {record.run.model_kind}'s generator, each of its rows one class.",
        "last": [_picture(record, last, model) for model in models],
        "heard": [sound for model in models if (sound := _sound(record, last, model))],
        "strips": [_strip(record, model, numbers, count) for model, numbers in sorted(rounds.items())],
    }


def _strip(record: Record, model: int, numbers: list[int], count: int) -> dict[str, Any]:
    """A model through the rounds; it breaks where the page ends, and arrows say that it goes on."""
    shown = spread(numbers, count)
    told = f"{len(shown)} of {len(numbers)} rounds" if len(shown) < len(numbers) else many(len(numbers), "round")
    return {
        "title": f"{record.run.model_kind} {model} through the rounds".capitalize(),
        "words": f"{told}, the last one last",
        "pictures": [
            _picture(record, number, model, "" if number == shown[-1] else " \u2192 goes on") for number in shown
        ],
    }


def _strip_rounds(record: Record, rounds: Mapping[int, list[int]]) -> int:
    """How many pictures of a model are shown on the way, so that the page stays light."""
    for count in range(STRIP_ROUNDS, 1, -1):
        shown = [record.pictures[n, model] for model, numbers in rounds.items() for n in spread(numbers, count)]
        if sum(path.stat().st_size for path in shown) <= MAX_STRIP_BYTES:
            return count
    return 1


def _picture(record: Record, number: int, model: int, more: str = "") -> Picture:
    name = f"{record.run.model_kind} {model}"
    content = record.pictures[number, model].read_bytes()
    return Picture(content, f"samples of {name} after round {number}", "images", f"round {number}, {name}{more}")


def _sound(record: Record, number: int, model: int) -> Sound | None:
    """What the evaluator put beside the picture of recordings: one sample a class, one after the other."""
    file = record.pictures[number, model].with_suffix(".wav")
    if not file.is_file() or file.is_symlink():
        return None
    caption = f"{record.run.model_kind} {model} after round {number}: one sample a class, in the picture's order"
    return Sound(file.read_bytes(), caption)
