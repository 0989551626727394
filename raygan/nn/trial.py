"""Networks of the user's own, tried before anything begins: one minibatch forward and backward, block by block.

Shape legend: B batch, C image channels, S image side, Z latent entries.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from raygan.errors import ConfigError
from raygan.names import NetworkName
from raygan.nn.blocks import Networks
from raygan.nn.network import block_inputs, run_blocks
from raygan.nn.spec import NetworkSpec
from raygan.own_code import fenced

BATCH = 4
"""Images of the trial at most."""
REACH = 1.001
"""Pixels lie within it."""


def try_networks(networks: Networks, spec: NetworkSpec, own: tuple[str, str], batch_size: int) -> None:
    """Passes random numbers through both networks, each block as a network of its own, as a client and the body have it,
    and draws samples.

    The blocks' running statistics change; torch's global generator does not.

    Args:
        own: the networks' key and import path, for the message.
        batch_size: of a client in a step; more than `BATCH` are not tried.

    Raises:
        ConfigError: a block that fails, or that breaks the rule of `raygan.nn.blocks`.
    """
    (key, path), size = own, min(batch_size, BATCH)
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(0)
        labels = torch.arange(size) % spec.num_classes
        z = torch.randn(size, spec.latent_size)
        images = _passed(networks.generator, z, labels, "generator", own)
        wanted = (size, spec.channels, spec.image_size, spec.image_size)
        if tuple(images.shape) != wanted:
            found = f"{path}: the generator returns images of the shape {tuple(images.shape)}, where {wanted} is needed"
            raise ConfigError(key, found, "return (batch, channels, size, size)")
        if images.abs().max() > REACH:
            found = f"{path}: the generator returns pixels from {images.min():.3g} to {images.max():.3g}"
            raise ConfigError(key, found, "keep them within [-1, 1], as by a last tanh")
        _draw(networks.generator, z, labels, own)
        logits = _passed(networks.discriminator, images, labels, "discriminator", own)
        if tuple(logits.shape) != (size,):
            found = f"{path}: the discriminator returns logits of the shape {tuple(logits.shape)} for {size} images"
            raise ConfigError(key, found, "return one for each image: (batch,)")


def try_in_parts(networks: Networks, spec: NetworkSpec, own: tuple[str, str]) -> None:
    """Whether blocks that the server may have can have their rows at several replicas: each row's output must depend on
    that row alone but for BatchNorm, and a batch without rows must go through.

    Raises:
        ConfigError: a block of which that is not so.
    """
    (key, path), size = own, BATCH
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        labels = torch.arange(size) % spec.num_classes
        inputs = {
            "generator": torch.randn(size, spec.latent_size),
            "discriminator": torch.randn(size, spec.channels, spec.image_size, spec.image_size),
        }
        for name, blocks in (("generator", networks.generator), ("discriminator", networks.discriminator)):
            x = inputs[name]
            for index, block in enumerate(blocks[:-1]):
                block.eval()
                whole = block(*block_inputs(block, x, labels))
                which = f"{path}: block {index} of the {name}"
                if index:
                    parts = torch.cat([block(part) for part in x.split(1)])
                    if not torch.allclose(parts, whole, rtol=1e-3, atol=1e-4):
                        remedy = "set it to 1, or let no layer but BatchNorm look across the minibatch"
                        raise ConfigError("ray.body_replicas", f"{which} mixes the rows of a minibatch", remedy)
                    with fenced(key, f"{which} failed for a batch without rows (ray.body_replicas) with"):
                        block(x[:0])
                block.train()
                x = whole


def _passed(blocks: Sequence[nn.Module], x: Tensor, labels: Tensor, name: NetworkName, own: tuple[str, str]) -> Tensor:
    """What comes out of the last block, detached."""
    key, path = own
    for index, block in enumerate(blocks):
        which = f"{path}: block {index} of the {name}"
        with fenced(key, f"{which} failed with"):
            output = block(*block_inputs(block, x, labels))
        _check(output, len(x), key, which)
        with fenced(key, f"{which} failed in its backward pass with"):
            output.sum().backward()
        x = output.detach().requires_grad_()
    return x.detach()


def _draw(blocks: Sequence[nn.Module], z: Tensor, labels: Tensor, own: tuple[str, str]) -> None:
    """As samples are drawn: in evaluation mode, without gradients."""
    key, path = own
    with fenced(key, f"{path}: the generator failed in evaluation mode with"), torch.no_grad():
        run_blocks([block.eval() for block in blocks], z, labels)
    for block in blocks:
        block.train()


def _check(output: object, size: int, key: str, which: str) -> None:
    if not isinstance(output, Tensor):
        raise ConfigError(key, f"{which} returned a {type(output).__name__}", "return one tensor")
    if output.dtype != torch.float32:
        raise ConfigError(key, f"{which} returned {output.dtype}", "return torch.float32")
    if output.dim() == 0 or len(output) != size:
        found = f"{which} returned the shape {tuple(output.shape)} for a minibatch of {size}"
        raise ConfigError(key, found, "keep the first axis: one row for each image")
    if not output.isfinite().all():
        raise ConfigError(key, f"{which} returned numbers that are not finite", "mend it")
    if not output.requires_grad:
        raise ConfigError(key, f"{which} passes no gradient on", "do not detach what it returns")
