"""Actors are killed or stopped in the middle of a run; the run ends by itself with every round accounted for."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygan.api import resume, train
from raygan.config.loading import make_config
from raygan.errors import StoppedError
from raygan.run.events import Listener
from tests.run.kills import FaultInjector, Injection, injector
from tests.run.test_fault_matrix import every_round_is_accounted_for, settings_for
from tests.run.test_resume import arrays_of_round

__all__ = ["injector"]
pytestmark = pytest.mark.usefixtures("small_ray")


class Injections(Listener):
    """Arms an injection when a round has begun."""

    def __init__(self, injector: FaultInjector, injections: dict[int, Injection]) -> None:
        self._injector, self._injections = injector, injections
        self.faults: list[str] = []
        if -1 in injections:
            injector.arm(injections[-1])

    def on_step(self, round_number, step, losses, num_images) -> None:
        if step == 0 and round_number in self._injections:
            self._injector.arm(self._injections.pop(round_number))

    def on_fault(self, fault: str) -> None:
        self.faults.append(fault)

    def told(self, *parts: str) -> bool:
        """Whether one fault has all of these in it."""
        return any(all(part in fault for part in parts) for fault in self.faults)


@pytest.mark.slow
def test_actors_that_hang_are_ended_and_replaced(injector: FaultInjector, tiny_settings: dict, tmp_path: Path) -> None:
    """SIGSTOP: nothing dies, nothing answers. The body in the first round, a client, then an aggregator."""
    injections = Injections(
        injector,
        {
            -1: Injection("body", "discriminate backward", deed="stop"),
            0: Injection("client", "backpropagate", deed="stop", name="clients-00"),
            1: Injection("aggregator", "average", deed="stop"),
        },
    )
    settings = settings_for(tiny_settings, 3, call_timeout_s=10, clients_per_actor=2)
    run = train(make_config(settings), tmp_path / "run", listener=injections)
    every_round_is_accounted_for(run, 3)
    assert injections.told("round 1 begins again", "hung: ", "took longer than 10 s")
    assert injections.told("clients-00", "was lost (hung: backpropagate took longer than 10 s)")
    assert not injections.told("round 2 begins again"), "the aggregator's work alone is repeated"
    assert run.metrics["lost"].tolist()[0] == 2
    assert run.metrics["clients"].tolist() == [4, 6, 6]


@pytest.mark.slow
def test_a_client_that_keeps_dying_is_set_aside(injector: FaultInjector, tiny_settings: dict, tmp_path: Path) -> None:
    injection = Injection("client", "discriminator_loss", name="clients-01")
    injections = Injections(injector, {-1: injection, 0: injection})
    settings = settings_for(tiny_settings, 3, max_restarts=1, clients_per_actor=2)
    run = train(make_config(settings), tmp_path / "run", listener=injections)
    every_round_is_accounted_for(run, 3)
    assert injections.told("clients-01", "takes part again once it is back")
    assert injections.told("clients-01", "is set aside: lost 2 times in a row")
    assert run.metrics["clients"].tolist() == [4, 4, 4]


@pytest.mark.slow
def test_too_few_clients_stop_the_run_and_it_goes_on_from_its_checkpoint(
    injector: FaultInjector, tiny_settings: dict, tmp_path: Path
) -> None:
    settings = settings_for(tiny_settings, 3)
    settings["training"] = settings["training"] | {"min_clients": 6}
    path = tmp_path / "run"
    with pytest.raises(StoppedError, match=r"round 2 has 4 of at least 6 clients \(training.min_clients\)"):
        train(
            make_config(settings),
            path,
            listener=Injections(injector, {1: Injection("client", "generator_loss", "after")}),
        )
    assert resume(path, in_process=True).ended
    calm = train(make_config(settings), tmp_path / "calm", in_process=True)
    assert arrays_of_round(path, 3) == arrays_of_round(calm.path, 3)
