"""The limit does the same work as the split: with one client, the same numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from raygan.algorithms.huscf import begin_round
from raygan.bench.unsplit import Unsplit
from raygan.config.loading import make_config
from raygan.nn.network import block_state
from raygan.randomness import torch_seed
from raygan.run.plan import make_plan
from raygan.split.submit import train_step
from raygan.wire.records import StepId
from tests.run.test_exactness import local_group


def test_one_unsplit_client_is_one_split_client(tiny_settings: dict, tmp_path: Path) -> None:
    settings = tiny_settings | {
        "data": {"domains": [tiny_settings["data"]["domains"][0] | {"clients": 1}]},
        "clusters": {"count": 1},
        "devices": tiny_settings["devices"] | {"fleet": ["medium"]},
        "cuts": {"solver": "fixed", "fixed": {"medium": tiny_settings["cuts"]["fixed"]["medium"]}},
    }
    plan = make_plan(make_config(settings))
    group, unsplit = local_group(plan, tmp_path), Unsplit(plan.layout, plan.config)
    begin_round(group, 0)
    unsplit.begin_round(0)
    unsplit._latent = torch.Generator().manual_seed(torch_seed(plan.config.seed, "latent", 0, 0))
    for step in range(3):
        train_step(group, plan.layout, StepId(0, step))
        assert unsplit.step(step) == 8
    (client,) = group.workers[0].call_many("state", 1)
    whole = {"generator": unsplit.generator, "discriminator": unsplit.discriminator}
    for state in (client, group.body.call("state")):
        for (network, index), block in state.blocks.items():
            for name, array in block_state(whole[network][index]).items():
                np.testing.assert_allclose(block[name], array, rtol=1e-4, atol=2e-6)
    group.close()
