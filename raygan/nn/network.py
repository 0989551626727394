"""Building the networks from the configuration, and addressing their states by block.

Every party builds the same initial networks from the seed and keeps the blocks that it holds, so that no
parameter has to travel before the first round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import psutil
import torch
from rich.filesize import decimal
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized
from torch.overrides import TorchFunctionMode

from raygan.config.choices import NETWORKS as NETWORK_NAMES
from raygan.config.choices import SCHEDULES, chosen
from raygan.config.schema import ModelConfig, TrainingConfig
from raygan.errors import ConfigError, first_line
from raygan.names import NETWORKS, BlockState, NetworkName
from raygan.nn.blocks import Networks, takes_labels, with_labels
from raygan.nn.group_norm import with_group_norm
from raygan.nn.optimizer import FusedAdam
from raygan.nn.spec import NetworkSpec
from raygan.own_code import fenced, imported

CHANNELS_LAST = ("paper", "projection", "plane_projection")
"""Networks whose weights have their channels last in memory, and so have the maps that come of them: on CPUs a step takes
a fifth less time. Blocks that take maps begin with a convolution, which lays out what it is given as its weights are, or
flatten them, so that a block's numbers do not depend on how its input lies in memory. A user's own may rely on how their
maps do."""
LISTS = (list, tuple, nn.ModuleList, nn.Sequential)


def network_spec(model: ModelConfig, channels: int, num_classes: int, group_norm: bool = False) -> NetworkSpec:
    """What the networks of this configuration must fit."""
    return NetworkSpec(
        image_size=model.image_size,
        channels=channels,
        num_classes=num_classes,
        width=model.width,
        latent_size=model.latent_size,
        label_embedding_size=model.label_embedding_size,
        spectral_norm=model.spectral_norm,
        networks=model.networks,
        group_norm=group_norm,
    )


def build_networks(spec: NetworkSpec, blocks: str | None, seed: int) -> Networks:
    """The initial networks, the same for the same arguments; the global generator is left alone.

    Args:
        blocks: `model.blocks`, the older key for an import path; None: the networks that the spec names.

    Raises:
        ConfigError: an import path does not lead to networks of at least three blocks around an anchor, or a block
            takes labels that may be on the server.
    """
    key, name = ("model.networks", spec.networks) if blocks is None else ("model.blocks", blocks)
    known = blocks is None and name in NETWORK_NAMES
    make = chosen(NETWORK_NAMES, name) if known else imported(name, key)  # which may draw numbers: before the seed
    with torch.random.fork_rng(devices=[]):
        if known:
            _check_size(make, replace(spec, spectral_norm=False))  # which has no more parameters, and draws numbers
        torch.manual_seed(seed)
        networks = _of_ours(make, spec) if known else _of_the_users(make, spec, key, name)
    if spec.group_norm:  # for Opacus, which reads maps as if they were contiguous, fakes among them
        networks = replace(networks, discriminator=[with_group_norm(block) for block in networks.discriminator])
    elif known and name in CHANNELS_LAST:
        _lay_out(networks.blocks.values(), torch.channels_last)
    _check_labels(networks, key)
    layers = (layer for block in networks.discriminator for layer in block.modules())
    if spec.spectral_norm and not any(is_parametrized(layer) for layer in layers):
        remedy = "call raygan.nn.blocks.spectral on its layers, or set it to false"
        raise ConfigError("model.spectral_norm", f"no layer of the discriminator of {name} has it", remedy)
    return networks


def _of_ours(make: Callable[[NetworkSpec], Networks], spec: NetworkSpec) -> Networks:
    try:
        return make(spec)
    except Exception as error:
        found = f"networks of this size cannot be built ({type(error).__name__}: {first_line(error)})"
        raise ConfigError("model", found, "lower width, image_size or the embedding sizes") from None


def _check_size(make: Callable[[NetworkSpec], Networks], spec: NetworkSpec) -> None:
    """Refuses, before numbers are drawn for them for minutes, networks whose weights and gradients are more than the
    machine's memory."""
    with torch.device("meta"), _NothingDrawn():
        blocks = _of_ours(make, spec).blocks.values()
    count = sum(x.numel() for block in blocks for x in block.parameters())
    needed, memory = 2 * count * torch.float32.itemsize, psutil.virtual_memory().total
    if needed > memory:
        room = f"{decimal(needed)} with their gradients, where this machine has {decimal(memory)}"
        found = f"networks of {count:,} parameters need {room}"
        raise ConfigError("model", found, "lower width, image_size or the embedding sizes")


class _NothingDrawn(TorchFunctionMode):
    """Leaves out what fills tensors with initial numbers: on the meta device there is nothing to fill, and torch would
    import its compiler for it, a second and more of CPU time in every process that builds networks."""

    def __torch_function__(  # what torch calls; its name and arguments are torch's
        self, func: Callable[..., Any], types: object, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "__module__", None) == nn.init.__name__:
            return kwargs["tensor"]
        return func(*args, **kwargs)


def _of_the_users(make: Callable[[NetworkSpec], object], spec: NetworkSpec, key: str, path: str) -> Networks:
    with fenced(key, f"{path} failed with"):
        networks = make(spec)
    if not isinstance(networks, Networks):
        raise ConfigError(key, f"{path} returned {type(networks).__name__}", "return a raygan.nn.Networks")
    for name in NETWORKS:
        blocks, anchor = getattr(networks, name), getattr(networks, f"{name}_anchor")
        if not isinstance(blocks, LISTS) or not all(isinstance(block, nn.Module) for block in blocks):
            raise ConfigError(key, f"{path}: its {name} is no list of modules", "list torch.nn.Module objects")
        if not isinstance(anchor, int) or not 0 < anchor < len(blocks) - 1:
            found = f"{name} of {len(blocks)} blocks with anchor {anchor!r}"
            raise ConfigError(key, found, "the anchor must be an inner block (at least three blocks)")
    return networks


def _check_labels(networks: Networks, key: str) -> None:
    """Marks the first blocks where nothing is said, and refuses labels in a block that the server may have."""
    last = len(networks.discriminator) - 1
    if not any(takes_labels(block) for block in networks.discriminator):
        with_labels(networks.discriminator[0])
    with_labels(networks.generator[0])
    allowed = (("generator", 0), ("discriminator", 0), ("discriminator", last))
    for (network, index), block in networks.blocks.items():
        if takes_labels(block) and (network, index) not in allowed:
            remedy = (
                "give them to the first block of a network or to the discriminator's last, which stay on the client"
            )
            raise ConfigError(key, f"block {index} of the {network} takes labels", remedy)


def placed(block: nn.Module, device: torch.device | None) -> nn.Module:
    """The block on its device, if one is given; channels are last in memory (`CHANNELS_LAST`) on CPUs alone."""
    block.to(device)
    if device is not None and device.type != "cpu":
        _lay_out([block], torch.contiguous_format)
    return block


def _lay_out(blocks: Iterable[nn.Module], memory_format: torch.memory_format) -> None:
    for block in blocks:
        block.to(memory_format=memory_format)


def block_state(block: nn.Module) -> dict[str, np.ndarray]:
    """A copy of the block's parameters and buffers."""
    return {name: tensor.detach().cpu().numpy().copy() for name, tensor in block.state_dict().items()}


def load_block_state(block: nn.Module, state: BlockState) -> None:
    """Copies a state into the block, in place."""
    block.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in state.items()})


def is_finite(blocks: Iterable[nn.Module]) -> bool:
    """Whether all parameters and buffers are finite."""
    return all(bool(tensor.isfinite().all()) for block in blocks for tensor in block.state_dict().values())


def block_inputs(block: nn.Module, x: Tensor, labels: Tensor | None) -> tuple[Tensor, ...]:
    """What a block is called with: labels only where it takes them."""
    if not takes_labels(block):
        return (x,)
    assert labels is not None, "this block takes labels"
    return x, labels


def run_blocks(blocks: Iterable[nn.Module], x: Tensor, labels: Tensor | None = None) -> Tensor:
    """Calls the blocks one after the other, with the labels those that take them."""
    for block in blocks:
        x = block(*block_inputs(block, x, labels))
    return x


class GeneratorModule(nn.Sequential):
    """A generator's blocks as one module. Its state's names are those of the blocks: `0.linear.weight`."""

    def contiguous(self) -> GeneratorModule:
        """The same module, whose weights and images are contiguous, as others expect them (`CHANNELS_LAST`)."""
        _lay_out(self, torch.contiguous_format)
        return self

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:  # type: ignore[override]
        """Latents (B, Z), labels (B,) -> images (B, C, S, S) in [-1, 1]."""
        return run_blocks(self, z, labels)


def adam(blocks: Iterable[nn.Module], lr: float, betas: tuple[float, float]) -> torch.optim.Optimizer | None:
    """Adam over the blocks' parameters; None if they have none."""
    parameters = [parameter for block in blocks for parameter in block.parameters()]
    return FusedAdam(parameters, lr, betas) if parameters else None


def has_gradients(optimizer: torch.optim.Optimizer) -> bool:
    """Whether the optimizer's next step will change anything."""
    return any(parameter.grad is not None for parameter in _parameters(optimizer))


def set_learning_rate(
    optimizer: torch.optim.Optimizer | None, network: NetworkName, training: TrainingConfig, round_number: int
) -> None:
    """The learning rate of a round, from 0 (`training.lr`, `training.lr_schedule`)."""
    share = chosen(SCHEDULES, training.lr_schedule)(round_number, training.rounds)
    for group in optimizer.param_groups if optimizer is not None else ():
        group["lr"] = share * training.lr_of(network)


def gradient_norm(optimizer: torch.optim.Optimizer) -> Tensor:
    """L2 norm of all gradients that an optimizer is about to use: a scalar on their device, 0 without any."""
    parameters = _parameters(optimizer)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return torch.zeros((), device=parameters[0].device)
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    return norm


def _parameters(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


@contextmanager
def frozen(blocks: Iterable[nn.Module]) -> Iterator[None]:
    """Within it, the blocks' weights get no gradients; gradients pass through them."""
    with frozen_parameters(parameter for block in blocks for parameter in block.parameters()):
        yield


@contextmanager
def frozen_parameters(parameters: Iterable[Tensor]) -> Iterator[None]:
    """As `frozen`, for who has them at hand: finding them takes longer than all of the rest."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in trained:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in trained:
            parameter.requires_grad_(True)
