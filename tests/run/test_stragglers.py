"""A client ten times slower than the rest costs a step at most the deadline.

Devices are emulated: the slow client's actor really takes that long.
`pytest -m slow -s tests/run/test_stragglers.py` prints the figures.
"""

from __future__ import annotations

import statistics
import time
from pathlib import Path

import pytest

from raygan.api import Run, train
from raygan.config.loading import make_config
from raygan.run.events import Listener

SLOW = 10


class Watch(Listener):
    """When each step ended."""

    def __init__(self) -> None:
        self.ends_s: dict[tuple[int, int], float] = {}
        self.faults: list[str] = []

    def on_step(self, round_number, step, *_) -> None:
        self.ends_s[round_number, step] = time.perf_counter()

    def on_fault(self, fault: str) -> None:
        self.faults.append(fault)

    def steps_s(self) -> list[float]:
        """Seconds of each step but a round's first, which has the round's end before it."""
        return [end - self.ends_s[number, step - 1] for (number, step), end in self.ends_s.items() if step > 0]


def fleet(settings: dict, slow: int, deadline: object, rounds: int) -> dict:
    """Six devices of which one is slower; every phase takes about 0.1 s on the others."""
    speed = {"small": 2e6 / slow, "medium": 2e6, "large": 2e6}
    profiles = {
        name: {"flops_per_s": flops, "bytes_per_s": 1e7, "resources": {name: 1}} for name, flops in speed.items()
    }
    return settings | {
        "devices": {
            "fleet": ["small", *["medium", "large"] * 2, "medium"],
            "profiles": profiles,
            "server": {"flops_per_s": 1e9, "bytes_per_s": 1e8},
            "emulate": True,
        },
        "training": {"rounds": rounds, "batch_size": 8, "local_epochs": 2},
        "ray": settings["ray"] | {"step_deadline_s": deadline, "address": "local"},
        "evaluation": {"images": 40, "every": rounds},
    }


def run(settings: dict, folder: Path) -> tuple[Run, Watch]:
    watch = Watch()
    return train(make_config(settings), folder, listener=watch), watch


@pytest.mark.slow
def test_a_straggler_costs_at_most_the_deadline(tiny_settings: dict, tmp_path: Path) -> None:
    _, even = run(fleet(tiny_settings, 1, None, 1), tmp_path / "even")
    usual_s = statistics.median(even.steps_s())
    _, waiting = run(fleet(tiny_settings, SLOW, None, 1), tmp_path / "waiting")
    waited_s = statistics.median(waiting.steps_s())
    print(f"a step {usual_s:.2f} s; one client {SLOW} times slower, everybody waits: {waited_s:.2f} s")
    for deadline in (2 * usual_s, {"median": 2}):
        found, watch = run(fleet(tiny_settings, SLOW, deadline, 3), tmp_path / f"{deadline}")
        steps_s = watch.steps_s()
        print(f"deadline {deadline}: median {statistics.median(steps_s):.2f} s, longest {max(steps_s):.2f} s")
        assert found.metrics["late"].tolist()[-2:] == [1, 1], "it is tried again in every round"
        assert found.metrics["clients"].tolist()[-1] == 5
        assert any("was late and sat out" in fault for fault in watch.faults)
        later = steps_s[7:]  # the median is measured in the first round
        assert max(later) < 1.5 * (usual_s + 2 * usual_s)
        assert statistics.median(later) < 1.5 * usual_s
    assert waited_s > 2 * usual_s
