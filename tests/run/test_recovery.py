"""Every case of the table of recovery happens to the real engine, once as often as its limit allows and once beyond it;
what the engine did is what the rule says. No process: the parties are those of `tests.fake_federation`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from raygan.algorithms.base import Back
from raygan.errors import DataError, InputError, StoppedError
from raygan.run.checkpoints import Checkpoints
from raygan.run.engine import Engine
from raygan.run.events import Listener
from raygan.run.folder import RunFolder
from raygan.runtime import limits, recovery
from raygan.runtime.limits import LIMITS
from raygan.runtime.ray.backend import await_built
from raygan.runtime.recovery import BY_CASE, RULES, Action, Cause, Phase, Role, Rule
from raygan.wire.records import CheckIn, Lost, Why
from tests.fake_federation import NUM_CLIENTS, FakeAlgorithm, FakeBackend, Late, Strike, fake_plan

Case = tuple[Role, Phase, Cause]
ROUNDS, MAX_RESTARTS = 4, 2
CLIENTS = tuple(f"client-{number:02d}" for number in range(NUM_CLIENTS))
ONE, OTHER = CLIENTS[1:]
UNFIT = DataError("faces.npz", "is damaged", "put it back")
GONE: tuple[Why, ...] = ("dead", "hung")


@dataclass
class Scene:
    """What befalls a run so that a case comes about."""

    strikes: Sequence[Strike]
    joins: dict[int, list[Lost | InputError | Late]] = field(default_factory=dict)
    back: list[bool] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)
    limits: dict[str, int] = field(default_factory=dict)
    """Those of other rules that would come first."""
    ready_scores: bool = True
    error: tuple[type[Exception], str] = (StoppedError, "")
    """Where the run stops: with what."""


def second_round(party: str, method: str, why: Why | None, times: int, answer: Any = None) -> Strike:
    """Strikes calls of a method that comes once a round, from the second round on."""
    return Strike(party, method, why, answer, skip=1, times=times)


def everybody(method: str, why: Why | None, times: int, answer: Any = None) -> list[Strike]:
    return [second_round(client, method, why, times, answer) for client in CLIENTS]


# Scenes by case: a function of how often it is to happen. Numbers of the worker's losses are in a row.


def lost_client(method: str, why: Why) -> Callable[[int], Scene]:
    """Client 1 dies in the first round, and its new actors in those after it."""
    return lambda times: Scene(
        [Strike(ONE, method, why, times=times)], error=(StoppedError, "die as soon as they are started")
    )


def lost_while_saving(why: Why) -> Callable[[int], Scene]:
    """It is back only after a round's end: who ends a round is counted anew."""

    def scene(times: int) -> Scene:
        joins: list[Lost | InputError | Late] = [*[Lost("dead on arrival")] * (times - 2), Late()]
        return Scene([Strike(ONE, "train", "dead"), Strike(ONE, "save", why)], {1: joins})

    return scene


def lost_while_joining(why: Why) -> Callable[[int], Scene]:
    return lambda times: Scene([Strike(ONE, "train", "dead")], {1: [Lost(why, why)] * (times - 1)})


def once_lost(*outcomes: InputError | Late) -> Callable[[int], Scene]:
    """Client 1 is lost in the first round; this becomes of its new actor."""
    return lambda _: Scene([Strike(ONE, "train", "dead")], {1: [*outcomes]})


def cannot_be_averaged(why: Why) -> Callable[[int], Scene]:
    return lambda _: Scene([second_round(ONE, "check_in", None, 1, CheckIn({}, {1: Lost("it cannot be used", why)}))])


def too_few(*strikes: Strike, at_least: int = NUM_CLIENTS, joins: Any = None) -> Callable[[int], Scene]:
    return lambda _: Scene(
        strikes,
        joins or {},
        settings={"training": {"min_clients": at_least}, "ray": {"max_restarts": 1}},
        error=(StoppedError, f"{at_least - 1} of at least {at_least} clients"),
    )


TOO_FEW_AT_A_CHECKPOINT = (  # of two: client 2 is set aside for the second round's loss, then client 1 dies
    Strike(OTHER, "load", "dead", times=2),
    Strike(ONE, "train", "dead"),
    Strike(ONE, "save", "dead"),
)


def lost_round(method: str, why: Why) -> Callable[[int], Scene]:
    return lambda times: Scene(everybody(method, why, times), error=(StoppedError, f"was lost {times} times"))


def lost_party(party: str, method: str, why: Why) -> Callable[[int], Scene]:
    return lambda times: Scene(
        [second_round(party, method, why, times)], error=(StoppedError, f"round 2 was lost {times} times")
    )


def with_everybody_there(*strikes: Callable[[int], Strike]) -> Callable[[int], Scene]:
    """The round is lost and no actor is: only a limit of its own lets it be repeated as often as others."""
    return lambda times: Scene(
        [strike(times) for strike in strikes],
        limits={"failures_repeated": 99},
        error=(StoppedError, f"round 2 was lost {times} times"),
    )


def answers(party: str, method: str, answer: Any) -> Callable[[int], Strike]:
    return lambda times: second_round(party, method, None, times, answer)


def no_average(why: Why) -> Callable[[int], Scene]:
    """A late client is alive and cannot take over its average."""
    return with_everybody_there(
        lambda times: second_round(ONE, "train", "late", times),
        lambda times: Strike(ONE, "rejoin", None, Lost("no average", why), times=times),
    )


def evaluator(*strikes: Strike, **more: Any) -> Callable[[int], Scene]:
    return lambda _: Scene([second_round("evaluator", "evaluate", "dead", 1), *strikes], **more)


SCENES: dict[Case, Callable[[int], Scene]] = {
    ("evaluator", "start", "unfit"): lambda _: Scene(
        [Strike("evaluator", "prepare", answer=UNFIT)], error=(InputError, "faces.npz: is damaged")
    ),
    ("worker", "join", "unfit"): once_lost(UNFIT),
    ("worker", "join", "late"): once_lost(Late()),
    ("worker", "step", "late"): lambda _: Scene([second_round(ONE, "train", "late", 1)]),
    ("worker", "round_end", "not_finite"): cannot_be_averaged("not_finite"),
    ("worker", "round_end", "unfit"): cannot_be_averaged("unfit"),
    ("round", "join", "late"): lambda _: Scene(
        everybody("check_in", "dead", 1), {number: [Late(), Late(), Late()] for number in range(NUM_CLIENTS)}
    ),
    ("round", "join", "too_few"): too_few(second_round(ONE, "load", "dead", 1), joins={1: [UNFIT]}),
    ("round", "round_end", "too_few"): too_few(second_round(ONE, "train", "late", 1)),
    ("round", "checkpoint", "too_few"): too_few(*TOO_FEW_AT_A_CHECKPOINT, at_least=2, joins={1: [Late()]}),
    ("round", "round_end", "late"): lambda _: Scene(
        everybody("train", "late", 1), error=(StoppedError, "every client missed the step's deadline")
    ),
    ("round", "round_end", "unfit"): with_everybody_there(
        *(
            answers(name, "check_in", CheckIn({}, {number: Lost("no data", "unfit")}))
            for number, name in enumerate(CLIENTS)
        )
    ),
    ("round", "round_end", "unexplained"): lambda times: Scene(
        [answers("body", "assign", Lost("no answer"))(times)],
        error=(StoppedError, r"round 2 fails whenever it is run \(no answer\)"),
    ),
    ("round", "checkpoint", "unwritten"): lambda times: Scene(
        [second_round(ONE, "save", "dead", times)], error=(StoppedError, "no checkpoint could be written")
    ),
    ("aggregator", "round_end", "dead"): lost_party("aggregator-0", "average", "dead"),
    ("server", "round_end", "not_finite"): with_everybody_there(answers("body", "assign", Lost("NaN", "not_finite"))),
    ("server", "round_end", "unfit"): with_everybody_there(answers("body", "assign", Lost("none", "unfit"))),
    ("evaluator", "join", "late"): evaluator(back=[False]),
    ("evaluator", "join", "unfit"): evaluator(Strike("evaluator", "evaluate", answer=UNFIT, skip=1)),
    ("evaluator", "scores", "late"): lambda _: Scene([], ready_scores=False),
}
for _why in GONE:
    SCENES |= {
        ("worker", "start", _why): lost_client("inventory", _why),
        ("worker", "step", _why): lost_client("train", _why),
        ("worker", "round_end", _why): lost_client("check_in", _why),
        ("worker", "checkpoint", _why): lost_while_saving(_why),
        ("worker", "join", _why): lost_while_joining(_why),
        ("round", "round_end", _why): lost_round("check_in", _why),
        ("server", "step", _why): lost_party("body", "report", _why),
        ("server", "round_end", _why): lost_party("body", "assign", _why),
        ("server", "checkpoint", _why): lost_party("body", "save", _why),
        ("aggregator", "checkpoint", _why): lost_party("aggregator-0", "save", _why),
        ("aggregator", "join", _why): no_average(_why),
        ("evaluator", "scores", _why): lost_party("evaluator", "evaluate", _why),
    }
BEFORE_THE_ENGINE: set[Case] = {("worker", "start", "unfit"), ("server", "start", "unfit")}
"""Found as soon as the actors have been started."""


@dataclass
class Outcome(Listener):
    """What the engine did."""

    backend: FakeBackend
    folder: RunFolder
    faults: list[str] = field(default_factory=list)
    story: list[str] = field(default_factory=list)
    """Steps and written rounds, in order."""
    asked: set[Case] = field(default_factory=set)
    """Cases that were decided."""
    backs: list[Back] = field(default_factory=list)
    """Workers that took over an average."""
    error: Exception | None = None

    def on_fault(self, fault: str) -> None:
        self.faults.append(fault)

    def on_step(self, round_number: int, *_: Any) -> None:
        self.story.append(f"step of {round_number + 1}")

    def on_round(self, metrics: dict[str, Any]) -> None:
        self.story.append(f"scores of {metrics['round']}")

    def told(self, part: str) -> int:
        """Faults with this in them."""
        return sum(part in fault for fault in self.faults)

    def column(self, name: str) -> list[Any]:
        """Of `metrics.jsonl`."""
        return [line[name] for line in self.folder.metrics()]

    @property
    def did(self) -> set[str]:
        """All that can be done about a loss, as far as it was done."""
        events, calm = self.backend.events, self.error is None
        happened = {
            "set_aside": self.told("is set aside") > 0,
            "rewind": self.told("begins again") > 0,
            "no_scores": calm and any(not scores for scores in self.column("scores")),
            "stop": not calm,
            "evaluator": events["evaluator started"] > 0,
            "aggregator": events["aggregator started"] > 0,
            "client": any(events[f"{client} started"] for client in CLIENTS),
            "sat_out": calm and min(self.column("clients")) < NUM_CLIENTS,
        }
        return {name for name, found in happened.items() if found}


def ran(scene: Scene, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Outcome:
    """The engine, through what befalls it."""

    class Table(dict[Case, Rule]):
        def __getitem__(self, case: Case) -> Rule:
            outcome.asked.add(case)
            return super().__getitem__(case)

    settings = {"training": {"rounds": ROUNDS}, "ray": {"max_restarts": MAX_RESTARTS}}
    for section, values in scene.settings.items():
        settings[section] = settings.get(section, {}) | values
    backend = FakeBackend(list(scene.strikes), scene.joins, scene.back, scene.ready_scores)
    outcome = Outcome(backend, RunFolder(folder))
    plan = fake_plan(**settings)
    outcome.backs = cast(FakeAlgorithm, plan.algorithm).backs
    if not outcome.folder.config_file.exists():
        outcome.folder.create(plan.config, {}, [])
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", lambda _: None)
        patched.setattr(recovery, "BY_CASE", Table(BY_CASE))
        patched.setattr(limits, "LIMITS", replace(LIMITS, **scene.limits))
        try:
            Engine(plan, outcome.folder, backend, outcome).run()
        except (InputError, StoppedError) as error:
            outcome.error = error
    return outcome


@dataclass(frozen=True)
class Expected:
    """What an action must have come to."""

    case: Case
    scene: Scene
    times: int
    """How often the case came about."""
    beyond: bool
    outcome: Outcome

    def restart(self) -> None:
        """New actors, and the client is back at the end."""
        assert self.outcome.backend.events == {f"{ONE} started": self.times, **self._late}
        assert self.outcome.did <= {"client", "sat_out"}
        assert self.outcome.column("clients")[-1] == NUM_CLIENTS
        if self.case[1] != "start":
            assert self.outcome.told(f"{ONE} fake was lost") == self.times
            assert self.outcome.backs, "it has no average"
            assert all(back.restarted for back in self.outcome.backs), "it has lost its state"

    @property
    def _late(self) -> dict[str, int]:
        late = sum(isinstance(outcome, Late) for outcome in self.scene.joins.get(1, []))
        return {"late to join": late} if late else {}

    def set_aside(self) -> None:
        assert self.outcome.backend.events[f"{ONE} set aside"] == 1
        assert self.outcome.told("is set aside") == 1
        assert self.outcome.did == {"client", "set_aside", "sat_out"}
        assert self.outcome.column("clients")[-1] == NUM_CLIENTS - 1

    def sit_out(self) -> None:
        """The others go on; it takes over its model's average and is back."""
        restarted = self.case[1] == "join"
        assert self.outcome.did == ({"sat_out", "client"} if restarted else {"sat_out"})
        assert self.outcome.column("clients") == ([2, 2, 3, 3] if restarted else [3, 2, 3, 3])
        assert [(back.worker, back.restarted) for back in self.outcome.backs] == [(1, restarted)]

    def repeat(self) -> None:
        """The work alone is done again."""
        events, calls = self.outcome.backend.events, self.outcome.backend.calls
        if self.case[0] == "round":
            assert self.outcome.did == {"client"}
            assert calls["body", "save"] == ROUNDS + self.times
        else:
            assert self.outcome.did == {self.case[0]}
            assert events == {f"{self.case[0]} started": self.times}
        assert self.outcome.column("clients") == [NUM_CLIENTS] * ROUNDS

    def rewind(self) -> None:
        """To the checkpoint of the first round, with everybody at its state."""
        times = 1 if self.beyond else self.times
        assert self.outcome.told("round 2 begins again") == self.outcome.told("begins again") == times
        assert self.outcome.backend.calls["body", "restore"] == times
        assert self.outcome.error is None
        assert self.outcome.column("round") == list(range(1, ROUNDS + 1))
        assert self.outcome.column("clients")[2:] == [NUM_CLIENTS] * 2

    def go_on(self) -> None:
        first = self.outcome.story.index("scores of 1")
        begun = [f"step of {number + 1}" for number in range(self.times + 1)]
        assert self.outcome.story[:first] == begun, "the rounds did not wait"
        assert self.outcome.did == set()

    def wait(self) -> None:
        if self.case[0] == "evaluator":
            story = self.outcome.story
            assert story[self.times] == "scores of 1", "its scores come first"
            assert story[self.times + 1] == f"step of {self.times + 1}"
            assert self.outcome.did == set()
        else:
            assert self.outcome.backend.waits_s[:4] == [LIMITS.join_s] * 4
            assert self.outcome.column("clients") == [NUM_CLIENTS] * ROUNDS

    def no_scores(self) -> None:
        assert [bool(scores) for scores in self.outcome.column("scores")] == [True, False, True, True]
        assert self.outcome.did == {"no_scores", "evaluator"}

    def stop(self) -> None:
        """Its checkpoints are whole: it can go on."""
        kind, words = self.scene.error
        with pytest.raises(kind, match=words):
            raise cast(Exception, self.outcome.error)
        assert not self.outcome.folder.summary_file.exists()


def happens(case: Case, times: int, beyond: bool, path: Path, monkeypatch: pytest.MonkeyPatch) -> Expected:
    scene = SCENES[case](times)
    outcome = ran(replace(scene, joins={w: [*ends] for w, ends in scene.joins.items()}), path, monkeypatch)
    assert case in outcome.asked, f"did not come about: {outcome.faults}, {outcome.error}"
    return Expected(case, scene, times, beyond, outcome)


def limit_of(rule: Rule) -> int:
    """How often the rule's action is taken."""
    if rule.limit is None:
        return 1
    return MAX_RESTARTS if rule.limit == "max_restarts" else cast(int, getattr(LIMITS, rule.limit))


def name_of(case: Case) -> str:
    return "-".join(case)


def test_every_rule_has_its_cases() -> None:
    assert SCENES.keys() | BEFORE_THE_ENGINE == BY_CASE.keys()
    assert set(map(id, BY_CASE.values())) == set(map(id, RULES))
    assert len(BY_CASE) == sum(len(r.roles) * len(r.phases) * len(r.whys) for r in RULES), "a case has two"
    assert all((rule.limit is None) == (rule.beyond is None) for rule in RULES)


@pytest.mark.parametrize("case", SCENES, ids=name_of)
def test_the_engine_does_what_the_rule_says(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rule = BY_CASE[case]
    met = happens(case, limit_of(rule), False, tmp_path / "run", monkeypatch)
    getattr(met, rule.action)()
    if rule.action == "stop":
        goes_on(tmp_path / "run", monkeypatch)


@pytest.mark.parametrize("case", [case for case in SCENES if BY_CASE[case].beyond], ids=name_of)
def test_beyond_its_limit_the_engine_does_what_the_rule_says(
    case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = BY_CASE[case]
    met = happens(case, limit_of(rule) + 1, True, tmp_path / "run", monkeypatch)
    getattr(met, cast(Action, rule.beyond))()
    if rule.beyond == "stop":
        goes_on(tmp_path / "run", monkeypatch)


def goes_on(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that stopped goes on from its last checkpoint, which is the one before the round that failed."""
    folder = RunFolder(path)
    kept = Checkpoints(folder.checkpoints, fake_plan().config.checkpoints).last_whole(ROUNDS)
    written = len(folder.metrics())
    resumed = ran(Scene([]), path, monkeypatch)
    assert resumed.error is None
    assert resumed.story[0] == f"step of {min(kept, written) + 1}"
    assert resumed.column("clients")[kept:] == [NUM_CLIENTS] * (ROUNDS - kept)


def test_losses_that_are_not_in_a_row_do_not_add_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strikes = [Strike(ONE, "train", "dead", times=MAX_RESTARTS), Strike(ONE, "train", "dead", skip=1)]
    outcome = ran(Scene(strikes), tmp_path / "run", monkeypatch)
    assert outcome.column("clients") == [2, 2, 3, 2]
    assert outcome.told("takes part again once it is back") == MAX_RESTARTS + 1
    assert outcome.backs[-1].checkpoint == str(tmp_path / "run" / "checkpoints" / "round-0003")


BY_TWO = {"checkpoints": {"every": 2}}


def test_rounds_after_the_last_checkpoint_are_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene([Strike("body", "report", "dead", skip=3)], settings=BY_TWO)
    outcome = ran(scene, tmp_path / "run", monkeypatch)
    assert [fault for fault in outcome.faults if "begins again" in fault] == ["round 3 begins again: dead in report"]
    assert [event for event in outcome.story if "step" in event] == [f"step of {n}" for n in (1, 2, 3, 3, 4)]
    assert outcome.column("round") == [1, 2, 3, 4]


def test_a_lost_average_is_found_in_its_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though that round has no checkpoint."""
    strikes = [Strike(ONE, "train", "late"), Strike(ONE, "rejoin", answer=Lost("no average"))]
    outcome = ran(Scene(strikes, settings=BY_TWO), tmp_path / "run", monkeypatch)
    assert outcome.story[:3] == ["step of 1", "step of 1", "scores of 1"]
    assert outcome.told("begins again: no average") == 1


@pytest.mark.parametrize("role", ["worker", "server"])
@pytest.mark.parametrize("hangs", [False, True])
def test_an_actor_that_cannot_begin_stops_the_run(role: Role, hangs: bool) -> None:
    watched = SimpleNamespace(ended_because="hung: ready took longer than 600 s" if hangs else None)
    handle = SimpleNamespace(name=ONE, built=None if hangs else UNFIT, watched=watched)
    backend = SimpleNamespace(fetch=list)
    rule = BY_CASE[role, "start", "unfit"]
    with pytest.raises(InputError, match="ray.start_timeout_s: client-01" if hangs else "faces.npz: is damaged"):
        await_built(cast(Any, backend), role, [cast(Any, handle)], 600.0)
    assert rule.action == "stop"
    await_built(cast(Any, backend), role, [cast(Any, SimpleNamespace(**vars(handle) | FINE))], 600.0)


FINE = {"built": None, "watched": SimpleNamespace(ended_because=None)}
