"""A federation without processes, networks and images: parties whose calls can be struck, and an algorithm that has a
server, aggregators and models. The engine that drives it is the real one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np

from raygan.algorithms.base import Algorithm, Back, Model, RoundResult, ServerState, Task
from raygan.config.loading import make_config
from raygan.data import CommonShape
from raygan.data.holdings import Holding
from raygan.errors import InputError
from raygan.names import BlockKey
from raygan.packed import write_packed
from raygan.parties.base import Party, Server, Worker, clients_file
from raygan.parties.layout import Layout, WorkerPlan
from raygan.parties.spec import Parties
from raygan.run.plan import Plan
from raygan.runtime.backend import Handle, Reference
from raygan.runtime.federation import Federation
from raygan.runtime.steps import Cohort, Submitted, needed
from raygan.storage import write_arrays
from raygan.wire.records import (
    BlockAverage,
    BodyReport,
    CheckIn,
    Evaluation,
    Inventory,
    Lost,
    StepId,
    StepReport,
    Usage,
    Why,
    Written,
)

NUM_CLIENTS = 3
"""One in each worker: worker k is client k."""
KEY: BlockKey = ("generator", 0)
Value = Mapping[str, np.ndarray]
ONE: Value = {"x": np.ones(1, np.float32)}


class FakeWorker(Worker):
    """One client."""

    def __init__(self, number: int) -> None:
        self.number = number

    def inventory(self) -> list[Inventory]:
        return [Inventory(self.number, 8, 1)]

    def begin_round(self, round_number: int, clients: Collection[int] | None = None) -> None: ...

    def train(self, step: StepId) -> StepReport:
        return StepReport(step, {self.number: 1.0}, {self.number: 1.0}, 8, {}, 0, 0, (), self.number)

    def check_in(self) -> CheckIn:
        return CheckIn({self.number: 8})

    def load(self, average: BlockAverage | Lost) -> Lost | None:
        return average if isinstance(average, Lost) else None

    def rejoin(self, average: BlockAverage | Lost) -> Lost | None:
        return self.load(average)

    def save(self, folder: str) -> Written:
        return write_packed(Path(folder) / clients_file(self.number), {self.number: lambda: ONE})

    def restore(self, folder: str, sources: Mapping[int, str]) -> None: ...


class FakeServer(Server):
    """The body."""

    def begin_round(self, round_number: int) -> None: ...

    def report(self, step: StepId) -> BodyReport:
        return BodyReport(step, {}, ())

    def assign(self) -> Lost | None:
        return None

    def load(self, average: BlockAverage | Lost) -> Lost | None:
        return average if isinstance(average, Lost) else None

    def save(self, folder: str) -> Written:
        return write_arrays(Path(folder) / "body.safetensors", ONE)

    def restore(self, folder: str, serves: Mapping[int, int]) -> None: ...


class FakeAggregator(Party):
    """Averages nothing."""

    def average(self) -> list[BlockAverage | Lost]:
        return [BlockAverage(KEY, ONE)]

    def save(self, path: str, averages: Sequence[BlockAverage | Lost]) -> Written | Lost:
        return next((a for a in averages if isinstance(a, Lost)), None) or write_arrays(Path(path), ONE)


class FakeEvaluator(Party):
    """Scores nothing."""

    def prepare(self) -> None: ...

    def evaluate(self, number: int, tasks: object, generators: object) -> Evaluation:
        return Evaluation(number, (), (), 0.0)


@dataclass
class Strike:
    """What becomes of a call, and of its party."""

    party: str
    """Its name: `client-01`, `body`, `aggregator-0`, `evaluator`."""
    method: str
    why: Why | None = None
    """`dead` and `hung` end the party; `late`: it answers too late. None: it answers with `answer`."""
    answer: Any = None
    """An exception is raised when it is fetched."""
    skip: int = 0
    """Calls of the method, over all actors of the name, that come to pass before."""
    times: int = 1
    """Calls that are struck, one after the other."""


class Late:
    """A record that does not come in time."""


@dataclass(frozen=True)
class Box:
    """A reference: what is in it is got by `fetch`, or by the party that it is given to."""

    record: Any


class FakeHandle(Handle[Any]):
    """One party."""

    def __init__(self, name: str, party: Party, backend: FakeBackend) -> None:
        self.name, self.party, self.backend = name, party, backend
        self.end: Lost | None = None
        """Why it answers no more."""

    def submit(self, method: str, count: int, arguments: Sequence[Any]) -> Sequence[Reference[Any]]:
        found = self._answers(method, count, arguments) if self.end is None else [self.end] * count
        return cast(Sequence[Reference[Any]], [Box(record) for record in found])

    def _answers(self, method: str, count: int, arguments: Sequence[Any]) -> list[Any]:
        self.backend.calls[self.name, method] += 1
        strike = self.backend.struck(self.name, method)
        if strike is None:
            found = getattr(self.party, method)(*map(_received, arguments))
            return found if isinstance(found, list) else [found]
        if strike.why == "late":
            return [Late()] * count
        if strike.why is None:
            return [strike.answer] * count
        self.end = Lost(f"{strike.why} in {method}", strike.why)
        return [self.end] * count


def _received(argument: Any) -> Any:
    """An argument, with the records in the place of their references."""
    if isinstance(argument, list):
        return [_received(part) for part in argument]
    return argument.record if isinstance(argument, Box) else argument


@dataclass
class FakeBackend:
    """As `Backend`; `strikes` are its faults, `events` what the engine did about them."""

    strikes: list[Strike] = field(default_factory=list)
    joins: dict[int, list[Lost | InputError | Late]] = field(default_factory=dict)
    """Worker -> what becomes of its next starts; after them it joins."""
    back: list[bool] = field(default_factory=list)
    """Whether the evaluator that was started again is there, call by call; after them it is."""
    ready_scores: bool = True
    events: Counter[str] = field(default_factory=Counter)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(party's name, method) -> calls that reached it."""
    waits_s: list[float] = field(default_factory=list)
    """How long those that were started again were waited for, call by call."""

    def __post_init__(self) -> None:
        self.workers = {number: self._worker(number) for number in range(NUM_CLIENTS)}
        self.joining: dict[int, FakeHandle] = {}
        self.servers = [FakeHandle("body", FakeServer(), self)]
        self.evaluator = FakeHandle("evaluator", FakeEvaluator(), self)
        self.started_aggregators: list[FakeHandle] = []

    def struck(self, name: str, method: str) -> Strike | None:
        for strike in self.strikes:
            if (strike.party, strike.method) == (name, method):
                strike.skip -= 1
                if strike.skip < 0 <= strike.skip + strike.times:
                    return strike
        return None

    def _worker(self, number: int) -> FakeHandle:
        return FakeHandle(f"client-{number:02d}", FakeWorker(number), self)

    def aggregators(self, count: int) -> list[FakeHandle]:
        for number in range(len(self.started_aggregators), count):
            self.started_aggregators.append(FakeHandle(f"aggregator-{number}", FakeAggregator(), self))
        return self.started_aggregators[:count]

    def restart_worker(self, worker: int) -> None:
        self.events[f"client-{worker:02d} started"] += 1
        self.workers.pop(worker, None)
        self.joining[worker] = self._worker(worker)

    def join(self, wait_s: float) -> Mapping[int, InputError | Lost | None]:
        self.waits_s.append(wait_s)
        ended: dict[int, InputError | Lost | None] = {}
        for worker in list(self.joining):
            left = self.joins.get(worker)
            outcome = left.pop(0) if left else None
            if isinstance(outcome, Late):
                self.events["late to join"] += 1
                continue
            ended[worker], handle = outcome, self.joining.pop(worker)
            if outcome is None:
                self.workers = dict(sorted({**self.workers, worker: handle}.items()))
        return ended

    def restart_servers(self) -> None:
        self.events["body started"] += 1
        self.servers = [FakeHandle("body", FakeServer(), self)]

    def lockstep(self, method: str, calls: Sequence[tuple[int, Sequence[Any]]]) -> Sequence[Sequence[Reference[Any]]]:
        return [server.submit(method, *call) for server, call in zip(self.servers, calls, strict=True)]

    def restart_evaluator(self) -> None:
        self.events["evaluator started"] += 1
        self.evaluator = FakeHandle("evaluator", FakeEvaluator(), self)

    def has_evaluator(self, wait_s: float) -> bool:
        return self.back.pop(0) if self.back else True

    def restart_aggregators(self) -> int:
        dead = [number for number, handle in enumerate(self.started_aggregators) if handle.end]
        for number in dead:
            self.events["aggregator started"] += 1
            self.started_aggregators[number] = FakeHandle(f"aggregator-{number}", FakeAggregator(), self)
        return len(dead)

    def set_aside(self, worker: int) -> None:
        self.events[f"client-{worker:02d} set aside"] += 1
        self.workers.pop(worker, None)
        self.joining.pop(worker, None)

    def alive(self, handle: Handle[Any]) -> bool:
        assert isinstance(handle, FakeHandle)
        return handle.end is None

    def begin_step(self, step: StepId, deadline_s: float) -> None: ...

    def fetch(self, references: Sequence[Any], timeout_s: float | None = None) -> list[Any]:
        records = [reference.record for reference in references]
        for record in records:
            if isinstance(record, Exception):
                raise record
        return [Lost("late", "late") if isinstance(record, Late) else record for record in records]

    def ready(self, reference: Reference[Any]) -> bool:
        return self.ready_scores

    def usage(self, timeout_s: float | None = None) -> dict[str, Usage]:
        return {}

    def close(self) -> None: ...


@dataclass(frozen=True)
class _Client:
    """As far as the engine knows one."""

    client: int
    profile: str = "fake"


class FakeAlgorithm(Algorithm[FakeWorker, FakeServer]):
    """One model for all, averaged by one aggregator."""

    name = "fake"

    def __init__(self) -> None:
        plans = tuple(WorkerPlan(number, (cast(Any, _Client(number)),)) for number in range(NUM_CLIENTS))
        self.layout = Layout(plans, cast(Any, None))
        self.backs: list[Back] = []
        """Who came back, in order."""

    @classmethod
    def plan(cls, task: Task) -> FakeAlgorithm:
        return cls()

    def parties(self) -> Parties:
        raise NotImplementedError

    def round(self, federation: Federation[FakeWorker, FakeServer], state: ServerState, cohort: Cohort) -> RoundResult:
        def step(number: StepId, without: Collection[int]) -> Submitted:
            workers = {w: h for w, h in federation.workers.items() if w not in without}
            trained = {w: h.call(FakeWorker.train, number) for w, h in workers.items()}
            return Submitted(number, trained, federation.server.call(FakeServer.report, number))

        epochs = federation.local_epochs(cohort, step)
        present = federation.check_in(cohort, epochs)
        (assigned,) = federation.fetch([federation.server.call(FakeServer.assign)])
        needed(assigned, "round_end")

        def work() -> tuple[Reference[BlockAverage | Lost], dict[int, Lost]]:
            (aggregator,) = federation.aggregators(1)
            (average,) = cast(Handle[FakeAggregator], aggregator).call_many(1, FakeAggregator.average)
            workers = {w: h.call(FakeWorker.load, average) for w, h in federation.workers.items() if w in present}
            return average, federation.loaded([federation.server.call(FakeServer.load, average)], workers)

        average, lost = federation.averaged(work)
        epochs.lost.update(lost)
        serves = dict.fromkeys(range(NUM_CLIENTS), 0)
        model = Model(0, tuple(present), {KEY: average})
        return RoundResult(cohort, epochs, ServerState(serves=serves, num_models=1), {0: model})

    def rejoin(
        self, federation: Federation[FakeWorker, FakeServer], result: RoundResult, back: Back
    ) -> Reference[Lost | None]:
        self.backs.append(back)
        return federation.workers[back.worker].call(FakeWorker.rejoin, result.models[0].blocks[KEY])


def fake_plan(**settings: Any) -> Plan:
    """Three clients of one domain, three rounds of one step.

    Args:
        settings: of the configuration, by section.
    """
    training = {"rounds": 3, "min_clients": 1} | settings.pop("training", {})
    domains = [{"npz": "/nowhere.npz", "clients": NUM_CLIENTS}]
    config = make_config({"data": {"domains": domains}, "training": training} | settings)
    holdings = tuple(Holding("nowhere", 0, client, 8, (8,)) for client in range(NUM_CLIENTS))
    return Plan(config, FakeAlgorithm(), CommonShape(8, 1, 1), (), holdings)
