"""Which blocks of an actor's clients are computed at once (`ray.vmap_clients`), by measurement.

A measurement is kept on its machine, one small file for each block, batch, number of clients and device, so that the
same run makes the same choice the next time: the last bits of its numbers depend on it.
"""

from __future__ import annotations

import copy
import hashlib
import json
import os
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path

import torch
from torch import nn

from raygan.actors.layout import HostPlan
from raygan.config.schema import Config
from raygan.messages import NETWORKS, BlockKey
from raygan.nn.blocks import Networks
from raygan.nn.spec import NetworkSpec
from raygan.nn.split import head_blocks, tail_blocks
from raygan.nn.vmapped import BlockTime, Tensors, time_block

CACHE = Path("~/.cache/raygan/vmap")
BLOCK_TIMES = [field.name for field in fields(BlockTime)]
WORTH = 0.9
"""A block is vmapped if that takes at most this share of the time of the clients one by one."""
MOST_CLIENTS = 8
"""So many are measured at most: with more of them, vmap gains rather more."""


def blocks_to_vmap(
    plan: HostPlan, networks: Networks, spec: NetworkSpec, config: Config, device: torch.device
) -> tuple[BlockKey, ...]:
    """The blocks of heads and tails that the clients of an actor are to compute at once.

    Args:
        networks: the initial ones; they are left as they are.
    """
    mode = config.ray.vmap_clients
    if mode == "never" or len(plan.clients) == 1 or (mode == "auto" and device.type == "cpu"):
        return ()
    times = block_times(plan, networks, spec, config, device)
    return tuple(
        key for key, taken in times.items() if worth_it(taken) or (mode == "always" and taken.vmapped_s)
    )


def block_times(
    plan: HostPlan, networks: Networks, spec: NetworkSpec, config: Config, device: torch.device
) -> dict[BlockKey, BlockTime]:
    """Each block of heads and tails: the seconds of the actor's clients one by one and at once, as they are kept on
    this machine or else measured. Arguments as above."""
    times: dict[BlockKey, BlockTime] = {}
    num_clients = min(len(plan.clients), MOST_CLIENTS)
    for network in NETWORKS:
        blocks = networks.generator if network == "generator" else networks.discriminator
        cut = plan.clients[0].cut(network)
        held = {*head_blocks(cut), *tail_blocks(cut, len(blocks))}
        first = _first_inputs(network, spec, config.training.batch_size)
        for index, (block, inputs) in enumerate(_with_inputs(blocks, first, device)):
            if index in held:
                times[network, index] = _kept_or_timed(block, num_clients, inputs)
    return times


def worth_it(taken: BlockTime) -> bool:
    """Whether the clients are to compute the block at once."""
    return taken.vmapped_s is not None and taken.vmapped_s <= WORTH * taken.one_by_one_s


def _first_inputs(network: str, spec: NetworkSpec, batch_size: int) -> Tensors:
    """Of block 0: random ones, that only a measurement sees."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(spec.num_classes, (batch_size,), generator=draw)
    side = spec.image_size
    shape = (spec.latent_size,) if network == "generator" else (spec.channels, side, side)
    return torch.randn(batch_size, *shape, generator=draw), labels


def _with_inputs(
    blocks: Sequence[nn.Module], first: Tensors, device: torch.device
) -> list[tuple[nn.Module, Tensors]]:
    """Copies of the blocks on the device, each with what the one before it returns."""
    pairs: list[tuple[nn.Module, Tensors]] = []
    inputs = tuple(x.to(device) for x in first)
    for block in (copy.deepcopy(block).to(device) for block in blocks):
        pairs.append((block, inputs))
        with torch.no_grad():
            inputs = (block(*inputs),)
    return pairs


def _kept_or_timed(block: nn.Module, num_clients: int, inputs: Tensors) -> BlockTime:
    """A file that cannot be read or written is no fault: the block is measured (again)."""
    path = CACHE.expanduser() / f"{_key(block, num_clients, inputs)}.json"
    kept = _read(path)
    if kept is not None:
        return kept
    taken = time_block(block, num_clients, inputs)
    return taken if _keep(path, taken) else _read(path) or taken


def _key(block: nn.Module, num_clients: int, inputs: Tensors) -> str:
    """Of all that the time depends on: 32 hexadecimal digits."""
    device = inputs[0].device
    name = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else torch.backends.cpu.get_cpu_capability()
    )
    described = [
        (type(block).__module__, repr(block)),
        [(key, list(x.shape)) for key, x in block.state_dict().items()],
        [(str(x.dtype), list(x.shape)) for x in inputs],
        (num_clients, device.type, name, torch.get_num_threads(), torch.__version__),
    ]
    return hashlib.blake2b(json.dumps(described).encode(), digest_size=16).hexdigest()


def _read(path: Path) -> BlockTime | None:
    """What is kept there; a damaged file is taken away."""
    try:
        kept = json.loads(path.read_text())
        return BlockTime(**{name: kept[name] and float(kept[name]) for name in BLOCK_TIMES})
    except OSError:
        return None
    except (ValueError, KeyError, TypeError):
        with suppress(OSError):
            path.unlink()
        return None


def _keep(path: Path, taken: BlockTime) -> bool:
    """Whether it counts; False if another process was first."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(asdict(taken)))
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError:
        return True
    finally:
        with suppress(OSError):
            temporary.unlink()
    return True
