"""The data owners of a worker's clients, as the configuration has them."""

from __future__ import annotations

from functools import partial

import torch

from raygan.config.schema import Config
from raygan.data.admission import gate
from raygan.nn.spec import NetworkSpec
from raygan.parties.data_owner import DataOwner
from raygan.parties.layout import ClientPlan, WorkerPlan
from raygan.parties.private_owner import PrivateDataOwner


def data_owners(
    plan: WorkerPlan[ClientPlan], spec: NetworkSpec, config: Config, device: torch.device, again: bool
) -> list[DataOwner]:
    """Those of a worker's clients, in order; arguments and errors as `DataOwner`."""
    dp = config.privacy.dp
    make = DataOwner if dp is None else partial(PrivateDataOwner, dp=dp)
    return [
        make(
            one.client,
            one.data,
            config.training,
            config.seed,
            spec.latent_size,
            device,
            again,
            gate(config, one.data.domain_index, one.client),
        )
        for one in plan.clients
    ]
