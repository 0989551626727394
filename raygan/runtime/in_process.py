"""The federation without Ray: the same plain classes in this process, called one after the other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch

from raygan.config.schema import Config
from raygan.parties.aggregator import ClusterAggregator
from raygan.parties.evaluator import Evaluator, EvaluatorPlan
from raygan.simulation.device import pick_device
from raygan.simulation.emulation import refuse_emulation
from raygan.simulation.threads import body_threads, client_threads
from raygan.split.body import SharedBody
from raygan.split.contract import Contract, enforce
from raygan.split.layout import Layout
from raygan.split.worker import SplitClients
from raygan.wire.records import StepId, Usage, checked

Problem = Callable[[str, Any], str | None]


class LocalHandle:
    """Calls a plain object with the torch threads that its actor would have.

    Args:
        problem: what a method's records may not be sent for; None: nothing but what `checked` refuses.
    """

    def __init__(self, name: str, target: Any, threads: int, problem: Problem | None = None) -> None:
        self.name, self._target, self._threads, self._problem = name, target, threads, problem

    def call(self, method: str, *args: Any) -> Any:
        """The method's record, checked as it would be on the wire."""
        return checked(self._inspected(method, self._run(method, args)))

    def call_many(self, method: str, num_returns: int, *args: Any) -> list[Any]:
        """The method's records, checked as they would be on the wire."""
        records = self._inspected(method, self._run(method, args))
        assert len(records) == num_returns, (
            f"{self.name}.{method}: {len(records)} records, {num_returns} expected"
        )
        return [checked(record) for record in records]

    def _inspected(self, method: str, records: Any) -> Any:
        if self._problem is not None:
            enforce(self.name, method, self._problem(method, records))
        return records

    def _run(self, method: str, args: tuple) -> Any:
        torch.set_num_threads(self._threads)
        return getattr(self._target, method)(*args)


class LocalGroup:
    """All roles in this process."""

    def __init__(self, layout: Layout, config: Config, evaluator: EvaluatorPlan) -> None:
        self._threads_before = torch.get_num_threads()
        refuse_emulation(layout.pace)
        self._layout, self._config = layout, config
        self._device = pick_device(config, "this process")
        self.workers: dict[int, LocalHandle] = {}
        for plan in layout.workers:
            self.restart_worker(plan.worker)
        self.restart_body()
        self._make_evaluator: Callable[[], Evaluator] = lambda: Evaluator(evaluator)
        self._evaluator: LocalHandle | None = None
        self._aggregators: list[LocalHandle] = []

    @property
    def evaluator(self) -> LocalHandle:
        """Built when it is first needed: it trains its classifiers."""
        if self._evaluator is None:
            torch.set_num_threads(self._threads_before)
            self._evaluator = LocalHandle("evaluator", self._make_evaluator(), self._threads_before)
        return self._evaluator

    def aggregators(self, count: int) -> list[LocalHandle]:
        """One aggregator a cluster."""
        while len(self._aggregators) < count:
            name = f"aggregator-{len(self._aggregators)}"
            self._aggregators.append(LocalHandle(name, ClusterAggregator(), 1))
        return self._aggregators[:count]

    def restart_worker(self, worker: int) -> None:
        """A new worker."""
        plan, threads = self._layout.workers[worker], client_threads(self._layout, self._config)
        contract = Contract(self._layout, self._config.training.batch_size)
        problem = partial(contract.client_problem, worker)
        torch.set_num_threads(threads)  # with which it measures what it computes at once
        target = SplitClients(plan, self._layout, self._config, self._device)
        self.workers[worker] = LocalHandle(plan.name, target, threads, problem)

    def join(self, wait_s: float) -> dict[int, None]:
        """Nobody: a new worker is there at once."""
        return {}

    def restart_body(self) -> None:
        """A new body."""
        body = SharedBody(self._layout, self._config, self._device)
        self.body = LocalHandle("body", body, body_threads(self._config))

    def restart_evaluator(self) -> None:
        """A new evaluator, when it is next needed."""
        self._evaluator = None

    def has_evaluator(self, wait_s: float) -> bool:
        """Always."""
        return True

    def restart_aggregators(self) -> int:
        """None: they live and die with this process."""
        return 0

    def set_aside(self, worker: int) -> None:
        """Ends a worker."""
        del self.workers[worker]

    def alive(self, handle: LocalHandle) -> bool:
        """Always: they live and die with this process."""
        return True

    def begin_step(self, step: StepId, deadline_s: float) -> None:
        """Nothing: everybody takes their turn, so nobody is late."""

    def fetch(self, references: Sequence[Any], timeout_s: float | None = None) -> list[Any]:
        """The references themselves: they are the values."""
        return list(references)

    def ready(self, reference: Any) -> bool:
        """Always."""
        return True

    def usage(self) -> dict[str, Usage]:
        """Nothing: they share one process."""
        return {}

    def close(self) -> None:
        """Gives the thread count back."""
        torch.set_num_threads(self._threads_before)
