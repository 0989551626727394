"""The Ray actors: each wraps a party, receives its arguments from the object store and ships its results.

Every actor runs one method at a time, in the order in which they were submitted. Which method of its party a task
calls is an argument; the dashboard shows it as the task's name.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psutil  # Ray ships it
import ray

from raygan.config.schema import Config
from raygan.errors import ConfigError, InputError, PeerLostError, reason
from raygan.own_code import blaming
from raygan.parties.aggregator import ClusterAggregator
from raygan.parties.base import Party, Server
from raygan.parties.spec import PartySpec
from raygan.runtime.ray.transport import check_direct, gather, is_late, receive, ship
from raygan.simulation.allocator import keep_freed_memory
from raygan.simulation.emulation import PacedCalls
from raygan.wire.contract import enforce
from raygan.wire.records import Lost, StepId, StepReport, Usage

if TYPE_CHECKING:
    import torch

    from raygan.runtime.ray.group import GroupMember, GroupPeers, Meeting


class StepDeadline:
    """Waits for the workers' messages, once a step up to its deadline.

    Whoever is missing when the deadline passes is late: nothing more of it is waited for in the round, and
    the others get the same time again. One straggler therefore costs at most the deadline.
    """

    def __init__(self) -> None:
        self._late: set[int] = set()
        self._deadline_s: float | None = None
        self._ends_s = 0.0

    def begin_step(self, step: StepId, deadline_s: float) -> None:
        """Starts the clock; with a round's first step everybody is waited for again."""
        if step.step == 0:
            self._late = set()
        self._deadline_s = deadline_s
        self._start_clock()

    def gather(self, messages: Mapping[int, ray.ObjectRef[Any] | Lost]) -> dict[int, Any]:
        """Worker -> its record; `Lost` for one that is late, or whose actor died."""
        asked = {worker: m for worker, m in messages.items() if isinstance(m, ray.ObjectRef)}
        awaited = {worker: reference for worker, reference in asked.items() if worker not in self._late}
        rest_s = None if self._deadline_s is None else max(0.0, self._ends_s - time.monotonic())
        records = dict(zip(awaited, gather(list(awaited.values()), rest_s), strict=True))
        late = {worker for worker, record in records.items() if is_late(record)}
        if late:
            self._late |= late
            self._start_clock()
        missed = Lost("late earlier in the round", "late")
        return {
            worker: message if isinstance(message, Lost) else records.get(worker, missed)
            for worker, message in messages.items()
        }

    def extend(self, seconds: float) -> None:
        """Gives the workers that are waited for so much more time: it was spent waiting for others."""
        self._ends_s += seconds

    def _start_clock(self) -> None:
        self._ends_s = time.monotonic() + (self._deadline_s or 0.0)


class PartyActor:
    """An actor around a party."""

    _party: Party
    _fault: InputError | None = None
    _own: tuple[str, str | None] = ("", None)
    """Key and import path of the networks, where they are the user's own."""
    _direct = False
    """Whether activations and gradients go by Ray Direct Transport."""
    _peers: GroupPeers | None = None
    """Of a replica: the others."""

    def __init__(self, name: str) -> None:
        self._name, self._deadline = name, StepDeadline()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        """By kind: `wait`, `work`, `send`."""

    def __repr__(self) -> str:
        return self._name

    def ready(self, arguments: list[Any]) -> tuple[InputError | Lost | None, None]:
        """Returns when the actor has been built: None, what a user must mend first, or that it has lost its peers."""
        try:
            with self._among_peers():
                return self._fault, None
        except PeerLostError as error:
            return Lost(str(error)), None

    def usage(self, arguments: list[Any]) -> tuple[Usage, None]:
        """Where the actor's time went so far, and its memory."""
        process, seconds = psutil.Process(), self._seconds
        cpu, memory = process.cpu_times(), process.memory_full_info()
        peers = self._peers
        return Usage(
            wait_s=seconds["wait"],
            work_s=seconds["work"],
            send_s=seconds["send"],
            cpu_s=cpu.user + cpu.system,
            memory_bytes=memory.uss,
            exchange_s=peers.waited_s if peers else 0.0,
            exchanged_bytes=peers.sent_bytes if peers else 0,
        ), None

    def begin_step(self, arguments: list[Any]) -> tuple[None, None]:
        """Sets the deadline of a step; until the first call nobody is late."""
        step, deadline_s = arguments
        assert isinstance(step, StepId)
        self._deadline.begin_step(step, deadline_s)
        return None, None

    def run(self, method: str, count: int, arguments: list[Any]) -> Any:
        """Calls a method of the party: so many records as Ray takes them, and behind them a receipt.

        A replica that has lost the others returns `Lost`: it is not to blame, and Ray would print each error that nobody
        asks for.
        """
        if self._fault is not None:
            raise self._fault
        try:
            return self._run(method, arguments)
        except PeerLostError as error:
            return (*[Lost(str(error))] * count, None) if count else None

    def _run(self, method: str, arguments: list[Any]) -> Any:
        with self._among_peers():
            with self._timing("wait"):
                received = self._receive(method, arguments)
            with self._timing("work"), blaming(self._own):
                records = self._call(method, received)
            with self._timing("send"):
                enforce(self._name, method, self._party.problem(method, records))
                sent = records if isinstance(records, list) else [records]
                shipped = [ship(record, self._direct) for record in sent]
                return (*shipped, None) if shipped else None

    @contextmanager
    def _among_peers(self) -> Iterator[None]:
        """Around each call: what replicas of a party see to."""
        yield

    def _call(self, method: str, received: list[Any]) -> Any:
        return getattr(self._party, method)(*received)

    @contextmanager
    def _timing(self, kind: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[kind] += time.perf_counter() - started

    def _build(self, make: Callable[[], Party]) -> None:
        """Makes the party. An `InputError` is kept: raised here, it would reach nobody as what it is."""
        try:
            self._party = make()
        except InputError as error:
            self._fault = error

    def _receive(self, method: str, arguments: list[Any]) -> list[Any]:
        """The arguments themselves: all that is late is `Lost` where the party merges, and what it streams is fetched
        one after the other, so that only one of them is in memory."""
        if method in self._party.merges:
            *others, messages = arguments
            started = time.perf_counter()
            others = receive(others)
            self._deadline.extend(time.perf_counter() - started)  # what others took of it is not the workers' fault
            return [*others, self._deadline.gather(messages)]
        if method in self._party.streams:
            *others, members = arguments
            return [*receive(others), self._stream(members)]
        return list(receive(arguments))

    def _stream(self, references: Sequence[ray.ObjectRef[Any]]) -> Iterator[Any]:
        for reference in references:
            started = time.perf_counter()
            (record,) = gather([reference])
            waited_s = time.perf_counter() - started
            self._seconds["wait"] += waited_s
            self._seconds["work"] -= waited_s  # inside which the party asks for it
            yield record


class _DeviceActor(PartyActor):
    """An actor that computes on a device; the options are the spec's."""

    _device: torch.device
    _own_gpu = False
    """Whether a server has a GPU that no other has a share of."""

    def __init__(self, spec: PartySpec[Party], config: Config, **options: Any) -> None:
        super().__init__(spec.name)
        _compute_with(spec.threads)
        self._direct, self._own = config.ray.transport == "direct", config.model.own_networks
        self._paced = PacedCalls(spec.name, spec.pace, sum(spec.pace.values()))

        def build() -> Party:
            from raygan.simulation.device import pick_device

            self._device = device = pick_device(config, spec.name, has_gpu=bool(ray.get_gpu_ids()))
            self._own_gpu = device.type == "cuda" and (config.ray.body_gpus or 0) >= 1
            if self._direct:
                check_direct()
            return spec.make(device, **options)

        self._build(build)

    def _call(self, method: str, received: list[Any]) -> Any:
        """Takes as long as on the emulated device, if there is one; a step's seconds of work are then that device's."""
        started = time.perf_counter()
        records = super()._call(method, received)
        self._paced.hold(method, started)
        if isinstance(records, StepReport) and (held_s := self._paced.held_s()):
            records = replace(records, seconds={**records.seconds, "emulated": held_s})
        if isinstance(records, StepReport) and (faults := self._paced.end_step(records.step)):
            return replace(records, faults=(*records.faults, *faults))
        return records


class ClientActor(_DeviceActor):
    """A worker: one or several clients on one device."""

    def __init__(self, spec: PartySpec[Party], config: Config, again: bool = False) -> None:
        super().__init__(spec, config, again=again)
        from raygan.data import forget_domains

        forget_domains()  # its clients have their images; the rest of their domains is others'


class ServerActor(_DeviceActor):
    """A server of the algorithm, such as the shared body, or a replica of it."""

    def __init__(self, spec: PartySpec[Party], config: Config) -> None:
        super().__init__(spec, config)
        self._group: GroupMember | None = None
        self._alone: str | None = None
        """Why a replica is not connected with the others."""

    def open_group(self, arguments: list[Any]) -> tuple[Meeting, None]:
        """Of the first replica: where the others find it."""
        from raygan.runtime.ray.group import GroupMember

        self._group = GroupMember()
        return self._group.open(*arguments), None

    def join_group(self, arguments: list[Any]) -> tuple[InputError | None, None]:
        """Connects the replica with the others: None, or what a user must mend first."""
        from raygan.runtime.ray.group import GroupMember

        rank, meeting = receive(arguments)
        if isinstance(meeting, Lost) or self._fault is not None:
            self._alone = "the first replica of the body is gone"
            return None, None  # found where it is looked for
        member = self._group or GroupMember()
        try:
            self._peers = member.join(rank, meeting, self._device, self._own_gpu)
        except RuntimeError as error:
            self._alone = f"{self._name} cannot reach the others ({reason(error)})"
            remedy = "open all ports between the nodes of the body, or set it to 1"
            return ConfigError("ray.body_replicas", self._alone, remedy), None
        assert isinstance(self._party, Server)
        self._party.join(self._peers)
        return None, None

    @contextmanager
    def _among_peers(self) -> Iterator[None]:
        """A replica that has lost the others is lost. One that fails leaves the group, so that no other waits for it; one
        whose peers were late gives its own workers as much more time."""
        if self._alone is not None:
            raise PeerLostError(self._alone)
        if self._peers is None:
            yield
            return
        self._peers.check()
        waited_s = self._peers.waited_s
        try:
            yield
        except BaseException as error:
            self._peers.leave(f"another replica of the body has failed ({type(error).__name__})")
            raise
        finally:
            waited_s = self._peers.waited_s - waited_s
            self._seconds["wait"] += waited_s
            self._seconds["work"] -= waited_s  # inside which it waits for them
            self._deadline.extend(waited_s)


class AggregatorActor(PartyActor):
    """One model's aggregator. Imports no torch."""

    def __init__(self, name: str, rule: str) -> None:
        super().__init__(name)
        self._party = ClusterAggregator(rule)


class EvaluatorActor(PartyActor):
    """Scores and pictures."""

    def __init__(self, plan: Any, name: str = "evaluator", own: tuple[str, str | None] = ("", None)) -> None:
        super().__init__(name)
        _compute_with(1)  # scores are computed beside training, not in its way
        from raygan.parties.evaluator import Evaluator

        self._own = own
        self._build(lambda: Evaluator(plan))


def _compute_with(threads: int) -> None:
    keep_freed_memory()
    import torch

    torch.set_num_threads(threads)
