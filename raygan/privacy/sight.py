"""What the server sees of a client's batches: activations at a cut, and gradients at the tail.

Shapes: N images (N, C, S, S) float32 in [-1, 1], labels (N,) int64; an activation is (N, ...) of one block's output.
BatchNorm is in train mode, as in a step: what crosses depends on the batch. All goes through the run's codec.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from raygan.names import Codec
from raygan.nn.disturbance import disturbed, followed
from raygan.nn.losses import GanLoss
from raygan.nn.network import run_blocks
from raygan.wire.codec import decode, encode

Sight = Callable[[Tensor, Tensor], Tensor]
"""Images and labels of one batch -> what crosses."""
Disturbance = Callable[[Tensor], Tensor]
"""An activation -> what is sent in its place; gradients go through it."""


@dataclass(frozen=True)
class Images:
    """Images and labels that an attacker or a client has."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Some of them."""
        return self.images[rows], self.labels[rows]


def undisturbed(x: Tensor) -> Tensor:
    """What is sent is the activation."""
    return x


def noise_of_clients(strength: float, seed: int) -> Disturbance:
    """What clients do to the activations of D's head (`privacy.activation_noise`), each batch by its own scale: the
    client's is a moving mean of those."""
    if not strength:
        return undisturbed
    draw = torch.Generator().manual_seed(seed)
    return lambda x: disturbed(x, followed(None, x), strength, draw)


def head_of(blocks: Sequence[nn.Module], codec: Codec = "float32", disturbance: Disturbance = undisturbed) -> Sight:
    """What a head sends: the activation of its last block. The blocks are copied: their statistics stay as they are."""
    head = [copy.deepcopy(block).train().requires_grad_(False) for block in blocks]

    def sight(images: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            return crossed(disturbance(run_blocks(head, images, labels)), codec)

    return sight


def tail_gradient_of(blocks: Sequence[nn.Module], tail: int, loss: GanLoss, codec: Codec = "float32") -> Sight:
    """What a client's D tail sends back for its reals: the gradient of D's loss by what the tail was sent.

    Args:
        blocks: of the whole D.
        tail: number of blocks in the tail.
    """
    network = [copy.deepcopy(block).train().requires_grad_(False) for block in blocks]
    before, after = network[:-tail], network[-tail:]

    def sight(images: Tensor, labels: Tensor) -> Tensor:
        with torch.no_grad():
            arriving = run_blocks(before, images, labels)
        arriving.requires_grad_(True)
        logits = run_blocks(after, arriving, labels)
        loss.discriminator(logits.detach(), logits).backward()
        assert arriving.grad is not None
        return crossed(arriving.grad, codec)

    return sight


def identity(num_classes: int) -> Sight:
    """A control: the head's own input, image and label (as planes), so that an attack that is any good finds all."""

    def sight(images: Tensor, labels: Tensor) -> Tensor:
        planes = nn.functional.one_hot(labels, num_classes).float()[:, :, None, None]
        return torch.cat([images, planes.expand(-1, -1, *images.shape[2:])], dim=1)

    return sight


def noise(like: Tensor, generator: torch.Generator) -> Sight:
    """A control: noise in the form of an activation `like` (N, ...), which tells nothing."""

    def sight(images: Tensor, labels: Tensor) -> Tensor:
        return torch.randn((len(labels), *like.shape[1:]), generator=generator)

    return sight


def crossed(x: Tensor, codec: Codec) -> Tensor:
    """A tensor as its receiver has it."""
    if codec == "float32":
        return x.detach()
    (part,) = encode([x], codec)
    return decode(part)


def seen(sight: Sight, of: Images, batch_size: int) -> Tensor:
    """What crosses of all of them, as below."""
    return torch.cat(seen_apart(sight, of, batch_size))


def seen_apart(sight: Sight, of: Images, batch_size: int) -> list[Tensor]:
    """What crosses of them, in batches as a client makes them; a rest of one joins the batch before."""
    parts = list(torch.arange(len(of)).split(batch_size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        parts[-2:] = [torch.cat(parts[-2:])]
    return [sight(*of.batch(rows)) for rows in parts]
