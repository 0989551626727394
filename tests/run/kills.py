"""Actors that can be struck: killed (SIGKILL), stopped (SIGSTOP) or slowed at a named point of a call.

Production code knows nothing of it: the roles are wrapped where the test's driver starts them. What is to
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

from raygan.run.engine import Session
from raygan.run.events import Listener
from raygan.runtime.ray import actors as roles
from tests.processes import runs

KINDS = ("client", "body", "aggregator", "evaluator")
SIGNALS = {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}
STEP_POINTS = (
    "generate", "discriminate", "judge", "update_discriminator", "fool", "backpropagate", "update_generator",
)  # fmt: skip
PASSES = (
    "forward generate", "forward discriminate", "backward discriminate", "forward fool", "backward fool",
    "backward generate",
)  # fmt: skip
POINTS = {
    "client": ("begin_round", *STEP_POINTS, "check_in", "state", "load", "save"),
    "body": ("begin_round", *PASSES, "report", "assign", "state", "load", "save"),
    "aggregator": ("average", "save"),
    "evaluator": ("evaluate",),
}
"""Every phase of a step and of a round's end, by role; the body's passes by direction."""


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
        """Whether a injection has not fallen yet."""
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
        os.kill(os.getpid(), SIGNALS[injection.deed])


def wrapped(role: type, kind: str, folder: Path) -> type:
    """The role, made so that it can be struck."""

    class Struck(role):  # type: ignore[misc, valid-type]
        def __init__(self, *args: Any) -> None:
            self._armoury = FaultInjector(folder)
            self._armoury.born(kind)
            super().__init__(*args)

        def _turn(self, method: str, arguments: list[Any]) -> Any:
            point = f"{method} {arguments[1]}" if method in ("forward", "backward") else method
            self._armoury.strike(kind, self._name, point, "before")
            answer = super()._turn(method, arguments)
            self._armoury.strike(kind, self._name, point, "after")
            return answer

        def _average(self, *args: Any) -> Any:
            self._armoury.strike(kind, self._name, "average", "before")
            answer = super()._average(*args)
            self._armoury.strike(kind, self._name, "average", "after")
            return answer

    return Struck


@pytest.fixture
def injector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultInjector]:
    """Every actor that starts during the test can be struck."""
    made = FaultInjector(tmp_path / "injector")
    for kind in KINDS:
        name = kind.capitalize()
        monkeypatch.setattr(roles, name, wrapped(getattr(roles, name), kind, made.folder))
    return made


class Campaign(Listener):
    """Strikes once in every other round; the rounds in between show how long an undisturbed one takes."""

    def __init__(self, injector: FaultInjector, injections: list[Injection]) -> None:
        self._armoury, self._left = injector, list(injections)
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
        if round_number % 2 and first and self._left and not self._armoury.armed:
            self._struck.add(round_number)
            self._armoury.arm(self._left.pop(0))

    def on_fault(self, fault: str) -> None:
        self.faults.append(fault)

    def on_round(self, metrics) -> None:
        self.told_at[metrics["round"] - 1] = time.time()

    def watch_rounds(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Times the rounds, repeated ones with their repeats."""
        of_session, began = Session._round, {}

        def timed(session: Session, number: int):
            began.setdefault(number, time.time())
            result = of_session(session, number)
            self.rounds[number] = began[number], time.time()
            return result

        monkeypatch.setattr(Session, "_round", timed)
