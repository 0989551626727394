"""The parties of a federation as Ray actors."""
# ruff: noqa: D102  # the methods of `Backend` have their docstrings there

from __future__ import annotations

import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar, cast

import ray
from ray.exceptions import RayTaskError
from ray.util.placement_group import get_current_placement_group
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from raygan.config.schema import Config
from raygan.errors import InputError
from raygan.parties.aggregator import ClusterAggregator
from raygan.parties.base import Party, Server, Worker
from raygan.parties.evaluator import Evaluator, EvaluatorPlan
from raygan.parties.spec import Parties
from raygan.runtime.backend import Backend, Handle, PartyT_co, Reference
from raygan.runtime.limits import LIMITS
from raygan.runtime.ray import actors, own
from raygan.runtime.ray.demand import ActorDemand, demands, domains_of
from raygan.runtime.ray.transport import gather, is_late, references_in
from raygan.runtime.ray.watch import Watch, Watched
from raygan.runtime.recovery import Missing, Role, decide
from raygan.wire.records import Lost, StepId, Usage

T = TypeVar("T")
BUILT = "ready"
"""The actor's method that returns once it has been built."""


class RayHandle(Handle[PartyT_co], Generic[PartyT_co]):
    """Submits calls to one actor; what they return stays with the workers."""

    def __init__(self, name: str, actor: Any, watch: Watch, limit_s: Callable[[str], float]) -> None:
        self.name, self.actor = name, actor
        self._methods: dict[tuple[str, int], Any] = {}
        self._watch, self.watched = watch, Watched(name, limit_s)
        watch.add(self.watched)
        self.built: Reference[InputError | None] = self.ask(BUILT)

    def submit(
        self,
        method: str,
        count: int,
        arguments: Sequence[Any],
        others_need: Sequence[ray.ObjectRef[Any]] = (),
    ) -> Sequence[Reference[Any]]:
        """Submits a method of the party under a name that the dashboard shows.

        Args:
            others_need: what replicas, for which the call waits, are called with: until all is there, it does not hang.
        """
        return self._submitted("run", method, count, method, count, list(arguments), others_need=others_need)

    def ask(self, what: str, *arguments: Any) -> Reference[Any]:
        """Submits a method of the actor itself, of whatever party: `ready`, `usage`, `begin_step`."""
        return self._submitted(what, what, 1, list(arguments))[0]

    def _submitted(
        self,
        of_actor: str,
        method: str,
        count: int,
        *arguments: Any,
        others_need: Sequence[ray.ObjectRef[Any]] = (),
    ) -> Sequence[Reference[Any]]:
        key = (method, count)
        if key not in self._methods:  # making it costs a call
            options = {"name": f"{method} ({self.name})", "num_returns": count + 1}
            self._methods[key] = getattr(self.actor, of_actor).options(**options)
        answer = self._methods[key].remote(*arguments)
        *references, receipt = answer if count else (answer,)
        self._watch.submitted(self.watched, method, receipt, [*references_in(arguments), *others_need], references)
        return cast(Sequence[Reference[Any]], references)


class SpreadEvaluator(Handle[Evaluator]):
    """The evaluators of several sites as one: each scores what it holds, the first puts it together."""

    def __init__(self, main: RayHandle[Evaluator], others: Sequence[RayHandle[Evaluator]]) -> None:
        self.name, self._main, self._all = main.name, main, (main, *others)

    def submit(self, method: str, count: int, arguments: Sequence[Any]) -> Sequence[Reference[Any]]:
        """Submits a method to all."""
        answers = [handle.submit(method, count, arguments)[0] for handle in self._all]
        return self._main.submit("merge", 1, [answers]) if method == "evaluate" else answers[:1]


class RayBackend:
    """All parties as actors; its methods are those of `Backend`. Build it inside `cluster.connection`."""

    def __init__(self, parties: Parties, config: Config, evaluator: EvaluatorPlan) -> None:
        self._parties, self._config, self._evaluator_plan = parties, config, evaluator
        self._demands = demands(parties, config)
        self._watch = Watch()
        self._started: list[RayHandle[Party]] = []
        self.started_aggregators: list[RayHandle[ClusterAggregator]] = []
        self._evaluators: list[RayHandle[Evaluator]] = []
        self._joined: list[Reference[InputError | None]] = []
        """Of the server's replicas: whether they are connected."""
        self._num_started: Counter[str] = Counter()
        self._namespace = f"raygan-{uuid.uuid4().hex[:8]}"
        """Names are unique in a namespace, not in a cluster."""
        self.workers: dict[int, RayHandle[Worker]] = {}
        self.servers: list[RayHandle[Server]] = []
        self._joining: dict[int, RayHandle[Worker]] = {}
        self.evaluator: RayHandle[Evaluator] | SpreadEvaluator
        try:
            self.restart_servers()
            for worker in range(len(parties.workers)):
                self.workers[worker] = self._start_worker(worker)
            await_built(self, "server", self.servers, config.ray.start_timeout_s)
            self._await_group()
            await_built(self, "worker", list(self.workers.values()), config.ray.start_timeout_s)
            self.restart_evaluator()  # it starts, as the aggregators do, while the first round runs
            self.aggregators(2)
        except BaseException:
            self.close()
            raise

    def aggregators(self, count: int) -> list[RayHandle[ClusterAggregator]]:
        while len(self.started_aggregators) < count:
            self.started_aggregators.append(self._start_aggregator(len(self.started_aggregators)))
        return self.started_aggregators[:count]

    def restart_worker(self, worker: int) -> None:
        self.set_aside(worker)
        self._joining[worker] = self._start_worker(worker)

    def join(self, wait_s: float) -> dict[int, InputError | Lost | None]:
        workers = list(self._joining)
        answers = self.fetch([self._joining[worker].built for worker in workers], wait_s)
        answered = zip(workers, answers, strict=True)
        ended = {worker: answer for worker, answer in answered if not is_late(answer)}
        for worker, answer in ended.items():
            handle = self._joining.pop(worker)
            if answer is None:
                self.workers[worker] = handle
            else:
                self._end(handle)
        self.workers = dict(sorted(self.workers.items()))
        return ended

    def restart_servers(self) -> None:
        for handle in self.servers:
            self._end(handle)
        pairs = zip(self._demands["server"], self._parties.servers, strict=True)
        self.servers = [self._start(actors.ServerActor, demand, spec, self._config) for demand, spec in pairs]
        if self._parties.replicated:
            (meeting,) = self.servers[:1]
            place = meeting.ask("open_group", len(self.servers), self._config.ray.start_timeout_s)
            self._joined = [handle.ask("join_group", rank, place) for rank, handle in enumerate(self.servers)]

    def lockstep(self, method: str, calls: Sequence[tuple[int, Sequence[Any]]]) -> Sequence[Sequence[Reference[Any]]]:
        if len(self.servers) == 1:
            return [self.servers[0].submit(method, *calls[0])]
        needed = references_in([arguments for _, arguments in calls])
        pairs = zip(self.servers, calls, strict=True)
        return [server.submit(method, *call, others_need=needed) for server, call in pairs]

    def restart_evaluator(self) -> None:
        """One evaluator more at each site; those before, if there were any, are ended."""
        for handle in self._evaluators:
            self._end(handle)
        plan, own, self._evaluators = self._evaluator_plan, self._config.model.own_networks, []
        for demand in self._demands["evaluator"]:
            here = domains_of(self._config, demand.labels)
            part = replace(plan, here=here, samples=None if demand.labels else plan.samples)
            self._evaluators.append(self._start(actors.EvaluatorActor, demand, part, demand.name, own))
        main, *at_sites = self._evaluators
        self.evaluator = SpreadEvaluator(main, at_sites) if at_sites else main

    def has_evaluator(self, wait_s: float) -> bool:
        answers = self.fetch([handle.built for handle in self._evaluators], wait_s)
        return not any(map(is_late, answers))

    def restart_aggregators(self) -> int:
        lost = [number for number, handle in enumerate(self.started_aggregators) if not self.alive(handle)]
        for number in lost:
            self._end(self.started_aggregators[number])
            self.started_aggregators[number] = self._start_aggregator(number)
        return len(lost)

    def _start_aggregator(self, number: int) -> RayHandle[ClusterAggregator]:
        demand = ActorDemand(f"aggregator-{number}")
        return self._start(actors.AggregatorActor, demand, demand.name, self._config.clusters.aggregation)

    def set_aside(self, worker: int) -> None:
        for handles in (self.workers, self._joining):
            if worker in handles:
                self._end(handles.pop(worker))

    def alive(self, handle: Handle[Party]) -> bool:
        assert isinstance(handle, RayHandle)
        (answer,) = self.fetch([handle.ask(BUILT)])
        return not isinstance(answer, Lost)

    def begin_step(self, step: StepId, deadline_s: float) -> None:
        for handle in self.servers:
            handle.ask("begin_step", step, deadline_s)

    def fetch(self, references: Sequence[Reference[T]], timeout_s: float | None = None) -> list[T | Lost]:
        objects = cast("Sequence[ray.ObjectRef[Any]]", references)
        makers = [self._watch.producer(reference) for reference in objects]
        late = self._wait(objects, timeout_s)
        here = [reference for reference in objects if reference not in late]
        try:
            records = iter(gather(here))
        except RayTaskError as error:
            if isinstance(error.cause, InputError):
                raise error.cause from None
            raise
        self._watch.ended(here)
        return [
            Lost(f"late: nothing within {timeout_s:.3g} s", "late")
            if reference in late
            else _explained(next(records), maker)
            for reference, maker in zip(objects, makers, strict=True)
        ]

    def _wait(self, references: Sequence[ray.ObjectRef[Any]], timeout_s: float | None) -> set[ray.ObjectRef[Any]]:
        """Waits for all, and ends actors that hang meanwhile; returns those that are late."""
        pending = list(dict.fromkeys(references))
        ends_s = None if timeout_s is None else time.monotonic() + timeout_s
        while pending:
            rest_s = LIMITS.watch_s if ends_s is None else min(LIMITS.watch_s, ends_s - time.monotonic())
            _, pending = ray.wait(pending, num_returns=len(pending), timeout=max(0.0, rest_s))
            if pending and rest_s <= 0:
                break
            if pending:
                self._end_hanging()
        return set(pending)

    def _end_hanging(self) -> None:
        for watched, reason in self._watch.hanging():
            watched.ended_because = reason
            for handle in self._started:
                if handle.watched is watched:
                    self._watch.forget(watched)
                    ray.kill(handle.actor)

    def ready(self, reference: Reference[object]) -> bool:
        return bool(ray.wait([reference], timeout=0, fetch_local=False)[0])

    def usage(self, timeout_s: float | None = LIMITS.usage_s) -> dict[str, Usage]:
        handles: list[RayHandle[Party]] = [*self.servers, *self.workers.values(), *self.started_aggregators]
        answers = self.fetch([handle.ask("usage") for handle in handles], timeout_s)
        return {h.name: a for h, a in zip(handles, answers, strict=True) if not isinstance(a, Lost)}

    def close(self) -> None:
        for handle in list(self._started):
            self._end(handle)

    def _start_worker(self, worker: int) -> RayHandle[Worker]:
        demand = self._demands["client"][worker]
        again = demand.name in self._num_started
        return self._start(actors.ClientActor, demand, self._parties.workers[worker], self._config, again)

    def _await_group(self) -> None:
        """Returns when the server's replicas are connected; one that dies meanwhile is found and replaced later.

        Raises:
            ConfigError: they cannot be.
        """
        for answer in self.fetch(self._joined):
            if isinstance(answer, InputError):
                raise answer

    def _end(self, handle: RayHandle[Party]) -> None:
        ray.kill(handle.actor)
        self._watch.forget(handle.watched)
        self._started.remove(handle)

    def _start(self, role: type[actors.PartyActor], demand: ActorDemand, *args: Any) -> RayHandle[Any]:
        self._num_started[demand.name] += 1
        number = self._num_started[demand.name]
        name = demand.name if number == 1 else f"{demand.name} (start {number})"
        options = {**demand.options(), "name": name, "namespace": self._namespace, "max_concurrency": 1}
        if os.environ.get("OMP_WAIT_POLICY") != "PASSIVE":
            options["runtime_env"] = {"env_vars": own.OF_WORKERS}
        if role in (actors.AggregatorActor, actors.EvaluatorActor) and not demand.labels:
            options |= self._beside_server()
        if role is actors.ServerActor and len(self._parties.servers) > 1 and get_current_placement_group() is None:
            options["scheduling_strategy"] = "SPREAD"
        direct = self._config.ray.transport == "direct" and role in (actors.ClientActor, actors.ServerActor)
        remote: Any = ray.remote  # its types lack the option
        actor_class = remote(enable_tensor_transport=True)(role) if direct else remote(role)
        actor = actor_class.options(**options).remote(*args)
        handle: RayHandle[Any] = RayHandle(demand.name, actor, self._watch, self._limits_s(role))
        self._started.append(handle)
        return handle

    def _limits_s(self, role: type[actors.PartyActor]) -> Callable[[str], float]:
        """Method -> seconds that a call may take; emulated devices get as long as they are said to need."""
        longest_s = max(self._config.ray.call_timeout_s, self._parties.longest_call_s)
        if role is actors.EvaluatorActor:
            longest_s = self._config.evaluation.timeout_s
        return lambda method: self._config.ray.start_timeout_s if method == BUILT else longest_s

    def _beside_server(self) -> dict[str, Any]:
        """Averaging and scoring need no device: of several nodes, they go to the server's. Ray puts an actor that asks
        for nothing on any node, whatever it would rather have, so the server's is a must."""
        several = sum(node["Alive"] for node in ray.nodes()) > 1
        if get_current_placement_group() is not None or not several or not self.servers:
            return {}
        asked = self.servers[0].actor.__ray_call__.remote(lambda _: ray.get_runtime_context().get_node_id())
        (node,) = gather([asked], self._config.ray.start_timeout_s)
        if isinstance(node, Lost):
            return {}
        return {"scheduling_strategy": NodeAffinitySchedulingStrategy(node, soft=False)}


def await_built(backend: Backend, role: Role, handles: Sequence[RayHandle[Party]], start_timeout_s: float) -> None:
    """Returns when the actors are built; one that dies meanwhile is found and replaced later.

    Raises:
        InputError: what a user must mend for one of them.
    """
    for handle, fault in zip(handles, backend.fetch([handle.built for handle in handles]), strict=True):
        if handle.watched.ended_because is not None:
            found = f"{handle.name} was not there within {start_timeout_s:g} s"
            fault = InputError("ray.start_timeout_s", found, "see what the actors ask for with --dry-run")
        if isinstance(fault, InputError) and decide(Missing(role, "start", "unfit", str(fault))) == "stop":
            raise fault


def _explained(record: Any, maker: Watched | None) -> Any:
    """A record; why it is lost where its actor was ended."""
    if isinstance(record, Lost) and maker is not None and maker.ended_because is not None:
        return Lost(maker.ended_because, "hung")
    return record
