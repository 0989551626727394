"""The Ray actors: each wraps a plain class, receives its arguments from the object store and ships its results.

Every actor runs one method at a time, in the order in which they were submitted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import ray

from raygan.config.schema import Config
from raygan.errors import InputError
from raygan.parties.aggregator import ClusterAggregator
from raygan.runtime.ray.deadline import StepDeadline
from raygan.runtime.ray.transport import check_direct, gather, receive, ship
from raygan.runtime.ray.usage import Clock, process_usage
from raygan.simulation.allocator import keep_freed_memory
from raygan.simulation.threads import body_threads, client_threads
from raygan.split.contract import Contract, enforce
from raygan.split.layout import Layout, WorkerPlan
from raygan.wire.records import BlockKey, Usage

MERGING = ("forward", "backward")
"""The body's methods that go on without those who are late."""


class Role:
    """An actor around a plain object.

    Public methods are added by `exposing`; each takes one list of arguments, in which references may stand.
    """

    _plain: Any
    _name: str
    _fault: InputError | None = None
    _direct = False
    """Whether activations and gradients go by Ray Direct Transport."""

    @cached_property
    def _clock(self) -> Clock:
        return Clock()

    def __repr__(self) -> str:
        return self._name

    def ready(self, arguments: list[Any]) -> tuple[InputError | None, None]:
        """Returns when the actor has been built: None, or what a user must mend first."""
        return self._fault, None

    def _build(self, make: Callable[[], Any]) -> None:
        """Makes the plain object. An `InputError` is kept: raised here, it would reach nobody as what it is."""
        try:
            self._plain = make()
        except InputError as error:
            self._fault = error

    def usage(self, arguments: list[Any]) -> tuple[Usage, None]:
        """Where the actor's time went so far, and its memory."""
        return process_usage(self._clock), None

    def _build_party(self, config: Config, who: str, make: Callable[[Any], Any]) -> None:
        """As `_build`, for a role that takes part in steps: on its device, once its transport is known to work."""
        self._direct = config.ray.transport == "direct"

        def build() -> Any:
            from raygan.simulation.device import pick_device

            device = pick_device(config, who, has_gpu=bool(ray.get_gpu_ids()))
            if self._direct:
                check_direct()
            return make(device)

        self._build(build)

    def _problem(self, method: str, records: Any) -> str | None:
        """Why the records may not be sent, beside what `ship` refuses; None: they may."""
        return None

    def _turn(self, method: str, arguments: list[Any]) -> Any:
        if self._fault is not None:
            raise self._fault
        with self._clock.timing("wait"):
            received = self._receive(method, arguments)
        with self._clock.timing("work"):
            records = getattr(self._plain, method)(*received)
        with self._clock.timing("send"):
            enforce(self._name, method, self._problem(method, records))
            return reply(records, self._direct)

    def _receive(self, method: str, arguments: list[Any]) -> list[Any]:
        return receive(arguments)


def reply(records: Any, direct: bool = False) -> Any:
    """The records of a call as Ray takes them, and behind them a receipt (`raygan.runtime.ray.watch`)."""
    shipped = [ship(record, direct) for record in (records if isinstance(records, list) else [records])]
    return (*shipped, None) if shipped else None


def exposing(*methods: str):
    """Class decorator: adds the plain object's methods under their own names, which is how Ray shows them."""

    def decorate(role: type) -> type:
        for method in methods:
            setattr(role, method, _forward(method))
        return role

    return decorate


def _forward(method: str):
    def turn(self: Role, arguments: list[Any]) -> Any:
        return self._turn(method, arguments)

    turn.__name__ = method
    return turn


@exposing(
    "inventory", "begin_round", "generate", "discriminate", "judge", "update_discriminator", "fool",
    "backpropagate", "update_generator", "check_in", "state", "load", "rejoin", "traffic", "save", "restore",
)  # fmt: skip
class Client(Role):
    """One or several clients on one device."""

    def __init__(self, plan: WorkerPlan, layout: Layout, config: Config, again: bool = False) -> None:
        _compute_with(client_threads(layout, config))
        from raygan.data import forget_domains
        from raygan.split.worker import SplitClients

        self._name, self._worker = plan.name, plan.worker
        self._contract = Contract(layout, config.training.batch_size)
        self._build_party(config, plan.name, lambda device: SplitClients(plan, layout, config, device, again))
        forget_domains()  # its clients have their images; the rest of their domains is others'

    def _problem(self, method: str, records: Any) -> str | None:
        return self._contract.client_problem(self._worker, method, records)


@exposing(
    "begin_round", "forward", "backward", "report", "assign", "state", "load", "traffic", "save", "restore"
)
class Body(Role):
    """The shared body."""

    def __init__(self, layout: Layout, config: Config) -> None:
        _compute_with(body_threads(config))
        from raygan.split.body import SharedBody

        self._name, self._deadline = "body", StepDeadline()
        self._build_party(config, "the body", lambda device: SharedBody(layout, config, device))

    def begin_step(self, arguments: list[Any]) -> tuple[None, None]:
        """Sets the deadline of a step; until the first call nobody is late."""
        self._deadline.begin_step(*arguments)
        return None, None

    def _receive(self, method: str, arguments: list[Any]) -> list[Any]:
        if method not in MERGING:
            return receive(arguments)
        step, pass_name, stage, messages = arguments
        workers = self._plain.senders(method, pass_name, stage)
        return [step, pass_name, stage, self._deadline.gather(workers, messages)]


@exposing("traffic", "save")
class Aggregator(Role):
    """One cluster's aggregator. Imports no torch."""

    def __init__(self, name: str) -> None:
        self._name, self._plain = name, ClusterAggregator()

    def average(self, arguments: list[Any]) -> Any:
        """Fetches the members one at a time, so that only one of them is in memory."""
        blocks, weights, body, members = arguments
        return self._average(blocks, weights, gather([body])[0], members)

    def _average(
        self,
        blocks: Sequence[BlockKey],
        weights: Sequence[float],
        body: Any,
        members: Sequence[ray.ObjectRef],
    ) -> Any:
        states = (gather([member])[0] for member in members)
        return reply(self._plain.average(blocks, weights, body, states))


@exposing("prepare", "evaluate", "merge")
class Evaluator(Role):
    """Scores and pictures."""

    def __init__(self, plan: Any, name: str = "evaluator") -> None:
        _compute_with(1)  # scores are computed beside training, not in its way
        from raygan.parties.evaluator import Evaluator as Plain

        self._name = name
        self._build(lambda: Plain(plan))


def _compute_with(threads: int) -> None:
    keep_freed_memory()
    import torch

    torch.set_num_threads(threads)
