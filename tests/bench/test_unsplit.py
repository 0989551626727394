"""The limit does the same work as the split: with one client, the oracle's numbers."""

from __future__ import annotations

from typing import Any

from raygan.bench.unsplit import Unsplit
from raygan.config.loading import make_config
from raygan.names import BlockKey, BlockState
from raygan.nn.network import block_state
from raygan.randomness import torch_seed
from raygan.run.plan import make_plan
from raygan.wire.records import State
from tests.run.reference import Reference, assert_equal_blocks


def test_one_unsplit_client_is_the_oracle(tiny_settings: dict[str, Any]) -> None:
    settings = tiny_settings | {
        "data": {"domains": [tiny_settings["data"]["domains"][0] | {"clients": 1}]},
        "clusters": {"count": 1},
        "devices": tiny_settings["devices"] | {"fleet": ["medium"]},
        "cuts": {"solver": "fixed", "fixed": {"medium": tiny_settings["cuts"]["fixed"]["medium"]}},
    }
    plan = make_plan(make_config(settings))
    unsplit, reference = Unsplit(plan.layout, plan.config, threads=1), Reference(plan.layout, plan.config)
    reference.latent[0].manual_seed(torch_seed(plan.config.seed, "latent"))  # the limit draws z for all at once
    unsplit.begin_round(0)
    for step in range(3):
        assert unsplit.step(step) == 8
        reference.step(step)
    blocks: dict[BlockKey, BlockState] = {}
    blocks |= {("generator", n): block_state(block) for n, block in enumerate(unsplit.generator)}
    blocks |= {("discriminator", n): block_state(block) for n, block in enumerate(unsplit.discriminator)}
    held = plan.layout.held_blocks(plan.layout.clients[0])
    assert_equal_blocks(State(0, {key: blocks[key] for key in held}), reference.own[0])
    assert_equal_blocks(State(0, {key: blocks[key] for key in plan.layout.body_held}), reference.body)
