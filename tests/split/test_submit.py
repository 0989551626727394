"""The order in which a step is submitted, and who gets whose message."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, get_type_hints

import pytest

from raygan.algorithms.huscf import split_plan
from raygan.config.loading import make_config
from raygan.run.plan import make_plan
from raygan.split.client import Client
from raygan.split.layout import Layout
from raygan.split.submit import train_step
from raygan.split.worker import SplitClients
from raygan.step import STEP
from raygan.wire.records import Activations, Gradients, Lost, StepId, StepReport

STEP_ID = StepId(0, 3)


class Told:
    """A handle that writes down its calls; each returns a reference that says what it is."""

    def __init__(self, name: str, calls: list[tuple[Any, ...]]) -> None:
        self.name, self._calls = name, calls

    def call(self, method: Any, *args: Any) -> str:
        return self.submit(method.__name__, 1, args)[0]

    def submit(self, method: str, count: int, args: Sequence[Any]) -> list[str]:
        self._calls.append((self.name, method, *args))
        where = " ".join([self.name, method, *map(str, args[1:3] if method in ("forward", "backward") else ())])
        return [f"{where} {place}" for place in range(count)]


class Federation:
    """Handles on body and workers."""

    def __init__(self, workers: int) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.server = Told("body", self.calls)
        self.workers = {number: Told(f"worker-{number}", self.calls) for number in range(workers)}

    def lockstep(self, method: str, calls: Sequence[tuple[int, Sequence[Any]]]) -> list[list[str]]:
        return [self.server.submit(method, *call) for call in calls]

    def of_all_servers(self, method: Any, *args: Any) -> list[str]:
        return [self.server.call(method, *args)]


@pytest.fixture
def one_stage(tiny_settings: dict) -> Layout:
    """Two workers of equal cuts: the body has one stage in each network."""
    domains = [domain | {"clients": 1} for domain in tiny_settings["data"]["domains"]]
    fleet = tiny_settings["devices"] | {"fleet": ["small"]}
    changed = {"data": {"domains": domains}, "devices": fleet, "cuts": {"solver": "fixed"}}
    alone = tiny_settings["ray"] | {"clients_per_actor": 1}
    return split_plan(make_plan(make_config(tiny_settings | changed | {"ray": alone})).algorithm).layout


def test_phases_and_passes_take_turns_in_the_papers_order(one_stage: Layout) -> None:
    federation = Federation(2)
    submitted = train_step(federation, one_stage, STEP_ID)  # type: ignore[arg-type]
    who_and_what = [
        f"{name} {method}" + (f" {args[0]}" if name == "body" and args else "")
        for name, method, _, *args in federation.calls
        if name != "worker-1"
    ]
    assert who_and_what == [
        "worker-0 generate",
        "body forward generate",
        "worker-0 discriminate",
        "body forward discriminate",
        "worker-0 discriminator_loss",
        "body backward discriminate",
        "worker-0 update_discriminator",
        "body forward adversarial",
        "worker-0 generator_loss",
        "body backward adversarial",
        "worker-0 backpropagate",
        "body backward generate",
        "worker-0 update_generator",
        "body report",
    ]
    assert submitted.workers == {0: "worker-0 update_generator 0", 1: "worker-1 update_generator 0"}
    assert submitted.server == "body report 0"


def test_everybody_gets_what_came_out_of_the_pass_before(one_stage: Layout) -> None:
    federation = Federation(2)
    train_step(federation, one_stage, STEP_ID, without=[1])  # type: ignore[arg-type]
    calls = {(name, method, *args[:-1]): args[-1] for name, method, *args in federation.calls if args}
    into_loss = calls["worker-0", "discriminator_loss", STEP_ID]
    assert into_loss == "body forward discriminate 0 0"
    sent = calls["body", "backward", STEP_ID, "discriminate", 0]
    assert sent[0] == "worker-0 discriminator_loss 0"
    assert isinstance(sent[1], Lost), "it sits the step out"
    assert not [call for call in federation.calls if call[0] == "worker-1"]


@pytest.mark.parametrize("phase", STEP, ids=lambda phase: phase.name)
def test_every_phase_is_a_method_that_returns_what_the_table_says(phase: Any) -> None:
    assert callable(getattr(Client, phase.name))
    needed = {"forward": Activations, "backward": Gradients}[phase.sends.direction] if phase.sends else StepReport
    assert get_type_hints(getattr(SplitClients, phase.name))["return"] is needed
