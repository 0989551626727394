"""The federation as Ray actors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import ray

from raygan.actors import roles
from raygan.actors.cluster import WORKER_ENVIRONMENT, ActorDemand, demands
from raygan.actors.evaluator import EvaluatorPlan
from raygan.actors.layout import Layout
from raygan.actors.wire import gather
from raygan.config.schema import Config


class RayHandle:
    """Submits calls to one actor; what they return stays with the workers."""

    def __init__(self, name: str, actor: Any) -> None:
        self.name, self.actor = name, actor
        self._methods: dict[tuple[str, int], Any] = {}

    def call(self, method: str, *args: Any) -> ray.ObjectRef:
        """Submits a method that returns one record."""
        return self._method(method, 1).remote(list(args))

    def call_many(self, method: str, num_returns: int, *args: Any) -> list[ray.ObjectRef]:
        """Submits a method that returns `num_returns` records."""
        references = self._method(method, num_returns).remote(list(args))
        if num_returns == 0:
            return []
        return [references] if num_returns == 1 else references

    def _method(self, method: str, num_returns: int) -> Any:
        """The actor's method under a name that the dashboard shows; made once, since making it costs a call."""
        key = (method, num_returns)
        if key not in self._methods:
            options = {"name": f"{method} ({self.name})", "num_returns": num_returns}
            self._methods[key] = getattr(self.actor, method).options(**options)
        return self._methods[key]


class RayGroup:
    """All roles as actors. Build it inside `cluster.connection`."""

    def __init__(self, layout: Layout, config: Config, evaluator: EvaluatorPlan) -> None:
        self._started: list[RayHandle] = []
        self._aggregators: list[RayHandle] = []
        wanted = demands(layout, config)
        try:
            self.body = self._start(roles.Body, wanted["body"][0], layout, config)
            self.hosts = {
                plan.host: self._start(roles.Client, demand, plan, layout, config)
                for plan, demand in zip(layout.hosts, wanted["client"], strict=True)
            }
            self.evaluator = self._start(roles.Evaluator, wanted["evaluator"][0], evaluator)
            ray.get([handle.call("ready") for handle in self._started])
            self.aggregators(2)  # they start while the first round runs
        except BaseException:
            self.close()
            raise

    def aggregators(self, count: int) -> list[RayHandle]:
        """The aggregators of `count` clusters; those that are missing are started."""
        while len(self._aggregators) < count:
            demand = ActorDemand(f"aggregator-{len(self._aggregators)}", 0, 0, {}, {})
            self._aggregators.append(self._start(roles.Aggregator, demand, demand.name))
        return self._aggregators[:count]

    def fetch(self, references: Sequence[ray.ObjectRef], timeout_s: float | None = None) -> list[Any]:
        """The small records behind references; `Lost` where one is late or its actor died."""
        return gather(references, timeout_s)

    def ready(self, reference: ray.ObjectRef) -> bool:
        """Whether the record is there."""
        return bool(ray.wait([reference], timeout=0, fetch_local=False)[0])

    def close(self) -> None:
        """Ends every actor."""
        for handle in self._started:
            ray.kill(handle.actor)
        self._started.clear()

    def _start(self, role: type, demand: ActorDemand, *args: Any) -> RayHandle:
        environment = (
            {"env_vars": WORKER_ENVIRONMENT} if os.environ.get("OMP_WAIT_POLICY") != "PASSIVE" else None
        )
        options = {**demand.options(), "max_concurrency": 1}
        if environment:
            options["runtime_env"] = environment
        handle = RayHandle(demand.name, ray.remote(role).options(**options).remote(*args))
        self._started.append(handle)
        return handle
