"""Actors that can be struck: killed (SIGKILL), stopped (SIGSTOP) or slowed at a named point of a call.

Production code knows nothing of it: the actors' classes are wrapped where the test's driver starts them. What is to
happen is a small file; the first actor that comes to its point claims the file and strikes itself.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest

from raygan.algorithms.base import RoundResult
from raygan.run.engine import Engine
from raygan.run.events import Listener
from raygan.runtime.ray import actors
from raygan.step import CROSSINGS, PHASES
from tests.processes import runs

KINDS = {
    "client": "ClientActor",
    "body": "ServerActor",
    "aggregator": "AggregatorActor",
    "evaluator": "EvaluatorActor",
}
"""Kind -> the class of its actors."""
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
ANSWERED_S = 0.5
"""After so long an answer has left its process."""
POINTS = {
    "client": ("begin_round", *PHASES, "check_in", "state", "load", "save"),
    "body": ("begin_round", *map(str, CROSSINGS), "report", "assign", "state", "load", "save"),
    "aggregator": ("average", "save"),
    "evaluator": ("evaluate",),
}
"""Every phase of a step and of a round's end, by kind; the body's passes with their direction."""


@dataclass(frozen=True)
class Injection:
    """What is to happen, and where."""

    kind: str
    point: str
    when: str = "before"
    """Before the call's work, or after it and before its answer."""
    deed: str = "kill"
    name: str = ""
    """Begin of the actor's name; empty: the first actor of its kind that comes to the point."""

    def __str__(self) -> str:
        return f"{self.deed} {self.kind} {self.when} {self.point}"


class FaultInjector:
    """The folder through which test and actors speak."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def arm(self, injection: Injection) -> None:
        """The next actor that comes to the point is struck."""
        draft = self.folder / "draft"
        draft.write_text(json.dumps(asdict(injection)))
        draft.rename(self.folder / "armed")

    @property
    def armed(self) -> bool:
        """Whether an injection has not fallen yet."""
        return (self.folder / "armed").exists()

    def fallen(self) -> list[float]:
        """When each injection fell, seconds since the epoch."""
        return sorted(float(path.name.removeprefix("fallen-")) for path in self.folder.glob("fallen-*"))

    def processes(self, kind: str) -> list[int]:
        """Process ids of the actors of a kind that are alive."""
        found = (int(path.name.partition("-")[2]) for path in self.folder.glob(f"{kind}-*"))
        return sorted(number for number in found if runs(number))

    def born(self, kind: str) -> None:
        """Called by an actor that starts."""
        (self.folder / f"{kind}-{os.getpid()}").touch()

    def strike(self, kind: str, name: str, point: str, when: str) -> None:
        """Called by an actor at its points."""
        try:
            injection = Injection(**json.loads((self.folder / "armed").read_text()))
            if (injection.kind, injection.point, injection.when) != (
                kind,
                point,
                when,
            ) or not name.startswith(injection.name):
                return
            (self.folder / "armed").rename(self.folder / f"fallen-{time.time()}")
        except FileNotFoundError:
            return
        if injection.deed == "stop":  # Ray's own thread is still sending the answer of the call before
            time.sleep(ANSWERED_S)
        os.kill(os.getpid(), SIGNALS[injection.deed])


def wrapped(role: type, kind: str, folder: Path) -> type:
    """The actor's class, made so that it can be struck."""

    class Struck(role):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any) -> None:
            self._injector = FaultInjector(folder)
            self._injector.born(kind)
            super().__init__(*args)

        def run(self, method: str, count: int, arguments: list[Any]) -> Any:
            of_pass = method.removesuffix("_part")
            point = f"{arguments[1]} {of_pass}" if of_pass in ("forward", "backward") else method
            self._injector.strike(kind, self._name, point, "before")
            answer = super().run(method, count, arguments)
            self._injector.strike(kind, self._name, point, "after")
            return answer

    return Struck


@pytest.fixture
def injector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultInjector]:
    """Every actor that starts during the test can be struck."""
    made = FaultInjector(tmp_path / "injector")
    for kind, name in KINDS.items():
        monkeypatch.setattr(actors, name, wrapped(getattr(actors, name), kind, made.folder))
    return made


class Campaign(Listener):
    """Strikes once in every other round; the rounds in between show how long an undisturbed one takes."""

    def __init__(self, injector: FaultInjector, injections: list[Injection]) -> None:
        self._injector, self._left = injector, list(injections)
        self.injections = injections
        self._struck: set[int] = set()
        self.faults: list[str] = []
        self.told_at: dict[int, float] = {}
        """Round -> when its metrics were written."""
        self.rounds: dict[int, tuple[float, float]] = {}
        """Round -> when it began and when its checkpoint was whole."""

    @property
    def num_rounds(self) -> int:
        """Rounds that the campaign needs."""
        return 2 * len(self.injections) + 2

    def on_step(self, round_number, step, losses, num_images) -> None:
        first = step == 0 and round_number not in self._struck  # a round that is repeated is struck once
        if round_number % 2 and first and self._left and not self._injector.armed:
            self._struck.add(round_number)
            self._injector.arm(self._left.pop(0))

    def on_fault(self, fault: str) -> None:
        self.faults.append(fault)

    def on_round(self, metrics) -> None:
        self.told_at[metrics["round"] - 1] = time.time()

    def watch_rounds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Times the rounds, repeated ones with their repeats."""
        of_engine, began = Engine._round, dict[int, float]()

        def timed(engine: Engine, number: int) -> RoundResult:
            began.setdefault(number, time.time())
            result = of_engine(engine, number)
            self.rounds[number] = began[number], time.time()
            return result

        monkeypatch.setattr(Engine, "_round", timed)
