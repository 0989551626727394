"""Replicas of the body as actors: the numbers of one process, bit for bit, also when one of them is killed in a step."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from raygan.api import resume, train
from raygan.config.loading import make_config
from tests.run.kills import FaultInjector, Injection, injector
from tests.run.test_fault_matrix import every_round_is_accounted_for, settings_for
from tests.run.test_faults import Injections
from tests.run.test_resume import Interrupt, arrays_of_round

__all__ = ["injector"]


@pytest.fixture
def told_by_ray(small_ray: None, caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """What Ray's driver says of errors."""
    logger = logging.getLogger("ray")  # it passes nothing on
    logger.addHandler(caplog.handler)
    yield caplog
    logger.removeHandler(caplog.handler)


@pytest.mark.slow
def test_a_replica_that_is_killed_is_a_lost_body(
    told_by_ray: pytest.LogCaptureFixture, injector: FaultInjector, tiny_settings: dict, tmp_path: Path
) -> None:
    """The run goes back to its checkpoint, with new replicas, and Ray has no errors to tell of those left; it ends with
    the numbers of one that nothing befell."""
    config = make_config(settings_for(tiny_settings, 3, body_replicas=2, clients_per_actor=2))
    injections = Injections(injector, {1: Injection("body", "discriminate backward", name="body-1")})
    run = train(config, tmp_path / "run", listener=injections)
    every_round_is_accounted_for(run, 3)
    assert len(injector.fallen()) == 1
    assert injections.told("round 2 begins again")
    assert not injections.told("other weights")
    assert told_by_ray.messages == []
    calm = train(config, tmp_path / "calm", in_process=True)
    assert arrays_of_round(run.path, 3) == arrays_of_round(calm.path, 3)


def test_a_run_goes_on_from_the_first_replicas_checkpoint(tiny_settings: dict, tmp_path: Path) -> None:
    """With as many replicas: the numbers of a run that had no interruption."""
    config = make_config(settings_for(tiny_settings, 2, body_replicas=3, clients_per_actor=1))
    with pytest.raises(KeyboardInterrupt):
        train(config, tmp_path / "run", in_process=True, listener=Interrupt(1, 1))
    assert resume(tmp_path / "run", in_process=True).ended
    calm = train(config, tmp_path / "calm", in_process=True)
    assert arrays_of_round(tmp_path / "run", 2) == arrays_of_round(calm.path, 2)
    assert [name for name in arrays_of_round(calm.path, 2) if name.startswith("body")]
    sums = calm.records["links"][0]["body -> body"]["Sums"]
    assert sums["bytes"] > 0
