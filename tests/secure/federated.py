"""One round of any algorithm in this process, without evaluator and files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from raygan.algorithms.base import RoundResult
from raygan.config.loading import make_config
from raygan.names import BlockKey
from raygan.parties.base import Worker
from raygan.run.plan import Plan, make_plan
from raygan.runtime.federation import AnyFederation, Federation
from raygan.runtime.in_process import InProcessBackend
from raygan.runtime.steps import Cohort, Deadline, StepLoop
from raygan.wire.records import BlockAverage
from tests.conftest import CUTS

STEPS = 2
SECURE = {"privacy": {"secure_aggregation": True}}
ALGORITHMS: dict[str, dict[str, Any]] = {
    "huscf": {"devices": {"fleet": ["medium", "large"]}, "cuts": {"fixed": {n: CUTS[n] for n in ("medium", "large")}}},
    "fed_gan": {"fed_gan": {"sync_every": 1}},
    "clustered_fed_gan": {"clusters": {"count": 2, "warmup_rounds": 0}},
    "hierarchical": {"clusters": {"count": 2, "warmup_rounds": 0}, "hierarchical": {"global_every": 1}},
    "fed_split_gan": {},
}
"""Of each algorithm that averages, keys under which every block is held by three or by none."""


def settings_of(tiny: Mapping[str, Any], algorithm: str) -> dict[str, Any]:
    """Six clients, of which the last have fewer images, and a moving average of G."""
    first, second = tiny["data"]["domains"]
    changed = {
        "algorithm": algorithm,
        "data": {"domains": [first, second | {"limit": 60}]},
        "training": tiny["training"] | {"average": {"half_life_images": 40}},
    }
    own = {key: tiny.get(key, {}) | value for key, value in ALGORITHMS[algorithm].items()}
    return {**tiny, **changed, **own}


def losing(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The same with two clients in an actor and all six in one sum, of which two may be lost."""
    clusters = {"clusters": {"warmup_rounds": 9}} if "clusters" in settings else {}
    return {**settings, **clusters, "fed_gan": None, "ray": settings["ray"] | {"clients_per_actor": 2}}


@dataclass(frozen=True)
class Whole:
    """A federation of any algorithm."""

    plan: Plan
    backend: InProcessBackend

    @property
    def federation(self) -> AnyFederation:
        """As the algorithm sees it."""
        return Federation(self.backend, self.plan.layout, StepLoop(self.backend, lambda *_: None, Deadline(None), 1))

    def round(self, number: int = 0, steps: int = STEPS) -> RoundResult:
        """A round of everybody."""
        for handle in self.backend.workers.values():
            handle.call(Worker.begin_round, number, None)
        clients = tuple(plan.client for plan in self.plan.layout.clients)
        return self.plan.algorithm.round(self.federation, self.plan.algorithm.init(), Cohort(number, steps, clients, 3))


@contextmanager
def federated(settings: Mapping[str, Any]) -> Iterator[Whole]:
    """A federation, for as long as the block lasts."""
    plan = make_plan(make_config(dict(settings)))
    backend = InProcessBackend(plan.algorithm.parties(), plan.config, None)  # type: ignore[arg-type]
    try:
        one = Whole(plan, backend)
        plan.algorithm.prepare(one.federation)
        yield one
    finally:
        backend.close()


def arrays_of(result: RoundResult) -> dict[tuple[int, BlockKey, str], np.ndarray]:
    """Every array of a round's models."""
    found = {}
    for model in result.models.values():
        for key, block in model.blocks.items():
            assert isinstance(block, BlockAverage)
            found |= {(model.identity, key, name): array for name, array in block.state.items()}
    return found
