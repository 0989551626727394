"""What the bench counts of the split."""

from __future__ import annotations

from functools import partial

import pytest

from raygan.bench.contenders import SplitContender
from raygan.bench.run import bench_plan
from raygan.bench.settings import BenchOptions
from raygan.config.loading import make_config
from raygan.parties.evaluator import Evaluator
from raygan.run.scoring import evaluator_plan
from raygan.runtime.in_process import InProcessBackend

G_MAP, D_MAP = 16 * 14 * 14, 16 * 7 * 7
"""Entries of an image's features in front of block 2, where both networks are parted, at an eighth of the width."""


@pytest.mark.parametrize(("sections", "entries"), [(1, 0), (2, 2 * G_MAP + 6 * D_MAP)])
def test_what_sections_hand_on_in_a_step(sections: int, entries: int) -> None:
    """Of each image: G forth and back, and D forth and back for a real and twice for a fake one."""
    config = make_config({"ray": {"body_pipeline": sections}})
    plan = bench_plan(config, BenchOptions(clients=2, batch_size=4, width=0.125, cuts="0,0/0,0"))
    evaluator = partial(Evaluator, evaluator_plan(plan.config, plan.shape, plan.layout.spec, None))
    backend = InProcessBackend(plan.algorithm.parties(), plan.config, evaluator)
    contender = SplitContender(plan, backend)
    contender.run(3)
    contender.run(2)
    assert contender.carried_bytes() == 2 * 4 * entries * 4, "two clients of four images, four bytes an entry"
    backend.close()
