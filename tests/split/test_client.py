"""What a client's step leaves behind in its own blocks."""

from __future__ import annotations

from typing import Any

import pytest

from raygan.config.loading import make_config
from raygan.names import NETWORKS
from raygan.run.plan import make_plan
from raygan.wire.records import StepId
from tests.federations import in_process


@pytest.mark.parametrize("place", ["head", "tail"])
def test_the_update_of_g_computes_no_gradients_of_ds_weights(tiny_settings: dict[str, Any], place: str) -> None:
    started = in_process(make_plan(make_config(tiny_settings)))
    started.begin_round(0)
    for _ in started.reports(StepId(0, 0)):
        pass
    clients = [started.party_of(number)._clients[number] for number in range(6)]
    for network in NETWORKS:
        left = [
            name
            for client in clients
            for index, block in getattr(client.ends(network), place).items()
            for name, parameter in block.named_parameters(prefix=f"{network}.{index}")
            if parameter.grad is not None
        ]
        assert not left, "a step's gradients are used or not computed"
    started.close()
