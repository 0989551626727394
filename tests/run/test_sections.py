"""Sections of the body as actors: the numbers of one process, bit for bit, also when one of them is killed in a step."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygan.api import train
from raygan.config.loading import make_config
from tests.run.kills import FaultInjector, Injection, injector
from tests.run.test_fault_matrix import every_round_is_accounted_for, settings_for
from tests.run.test_faults import Injections
from tests.run.test_resume import arrays_of_round

__all__ = ["injector"]


@pytest.mark.slow
@pytest.mark.parametrize("section", [0, 1])
@pytest.mark.usefixtures("small_ray")
def test_a_section_that_is_killed_is_a_lost_body(
    injector: FaultInjector, tiny_settings: dict, tmp_path: Path, section: int
) -> None:
    """The run goes back to its checkpoint, with new sections; it ends with the numbers of one that nothing befell."""
    config = make_config(settings_for(tiny_settings, 3, body_pipeline=2, clients_per_actor=2))
    injections = Injections(injector, {1: Injection("body", "discriminate backward", name=f"body-{section}")})
    run = train(config, tmp_path / "run", listener=injections)
    every_round_is_accounted_for(run, 3)
    assert len(injector.fallen()) == 1
    assert injections.told("round 2 begins again")
    calm = train(config, tmp_path / "calm", in_process=True)
    assert arrays_of_round(run.path, 3) == arrays_of_round(calm.path, 3)
