"""Which blocks of a worker's clients are computed at once (`ray.vmap_clients`), by measurement."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from raygan.config.schema import Config
from raygan.cuts.cut import local_blocks
from raygan.names import BlockKey, NetworkName, Shape
from raygan.nn.blocks import Networks
from raygan.nn.network import block_inputs
from raygan.nn.vmapped import BlockTime
from raygan.simulation.executors import Executor, InStep, one_by_one
from raygan.simulation.vmap_timings import kept_or_timed
from raygan.split.layout import Layout, WorkerPlan

WORTH = 0.9
"""A block is vmapped if that takes at most this share of the time of the clients one by one."""
MOST_CLIENTS = 8
"""So many are measured at most, and the choice holds for more of them."""


def choose_executor(
    plan: WorkerPlan,
    layout: Layout,
    networks: Networks,
    config: Config,
    device: torch.device,
    blocks: Mapping[int, Mapping[BlockKey, nn.Module]],
) -> Executor:
    """How the clients of a worker are to be computed.

    Args:
        networks: as for `blocks_to_vmap`.
        blocks: client -> the blocks that it holds.
    """
    at_once = blocks_to_vmap(plan, layout, networks, config, device)
    return InStep(blocks, at_once) if at_once else one_by_one


def blocks_to_vmap(
    plan: WorkerPlan, layout: Layout, networks: Networks, config: Config, device: torch.device
) -> tuple[BlockKey, ...]:
    """The blocks of heads and tails that the clients of an actor are to compute at once.

    Args:
        networks: the initial ones; they are left as they are.
    """
    mode = config.ray.vmap_clients
    if mode == "never" or len(plan.clients) == 1 or (mode == "auto" and device.type == "cpu"):
        return ()
    times = block_times(plan, layout, networks, config, device)
    able = {key: taken for key, taken in times.items() if taken.vmapped_s is not None}
    return tuple(key for key, taken in able.items() if mode == "always" or worth_it(taken))


def block_times(
    plan: WorkerPlan, layout: Layout, networks: Networks, config: Config, device: torch.device
) -> dict[BlockKey, BlockTime]:
    """Each block of heads and tails: the seconds of the actor's clients one by one and at once, as they are kept on
    this machine or else measured. Arguments as above."""
    times: dict[BlockKey, BlockTime] = {}
    for network, count in layout.num_blocks.items():
        for index in local_blocks(plan.clients[0].cut(network), count):
            block = networks.blocks[network, index]
            inputs = block_inputs(block, *_inputs(layout, network, index, config.training.batch_size))
            on_device = tuple(x.to(device) for x in inputs)
            times[network, index] = kept_or_timed(block, num_measured(plan), on_device)
    return times


def num_measured(plan: WorkerPlan) -> int:
    """Clients of the actor that a measurement has."""
    return min(len(plan.clients), MOST_CLIENTS)


def worth_it(taken: BlockTime) -> bool:
    """Whether the clients are to compute the block at once."""
    return taken.vmapped_s is not None and taken.vmapped_s <= WORTH * taken.one_by_one_s


def _inputs(layout: Layout, network: NetworkName, index: int, batch_size: int) -> tuple[Tensor, Tensor]:
    """Random ones and labels, that only the measurement sees."""
    spec = layout.spec
    draw = torch.Generator().manual_seed(0)
    side = spec.image_size
    shape: Shape = (spec.latent_size,) if network == "generator" else (spec.channels, side, side)
    if index > 0:
        shape = layout.output_shapes[network][index - 1]
    labels = torch.randint(spec.num_classes, (batch_size,), generator=draw)
    return torch.randn(batch_size, *shape, generator=draw), labels
