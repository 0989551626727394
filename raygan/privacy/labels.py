"""Labels from what crosses: a linear probe and one with a hidden layer, of which the better counts."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from raygan.privacy.decoder import batches
from raygan.privacy.sight import Images, Sight, seen

HIDDEN, BATCH, LR, PASSES = 128, 64, 2e-3, 3
"""Units of the hidden layer; rows of a step; Adam's rate; batches in which each known image is seen."""


def label_accuracy(
    sight: Sight, known: Images, targets: Images, batch_size: int, num_classes: int, steps: int, seed: int
) -> float:
    """Share of a client's labels that a probe tells from what crosses.

    Args:
        known: images with labels that the attacker has, and passes through the same blocks.
        targets: the client's.
        batch_size: of the client.
        steps: of Adam, for each probe.
    """
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        x, y = _shuffled(sight, known, batch_size, seed)
        mean, spread = x.mean(0), x.std(0) + 1e-6
        x, of_targets = (x - mean) / spread, (_unit(seen(sight, targets, batch_size)) - mean) / spread
        size = x.shape[1]
        linear = nn.Linear(size, num_classes)
        hidden = nn.Sequential(nn.Linear(size, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, num_classes))
        return max(_trained(probe, x, y, of_targets, targets.labels, steps, seed) for probe in (linear, hidden))


def _shuffled(sight: Sight, known: Images, batch_size: int, seed: int) -> tuple[Tensor, Tensor]:
    """What crosses of the known images, (PASSES N, F), in batches that are made anew, and their labels."""
    generator = torch.Generator().manual_seed(seed)
    xs, ys = [], []
    for _ in range(PASSES):
        order = torch.randperm(len(known), generator=generator)
        mixed = Images(known.images[order], known.labels[order])
        xs.append(_unit(seen(sight, mixed, batch_size)))
        ys.append(mixed.labels)
    return torch.cat(xs), torch.cat(ys)


def _unit(x: Tensor) -> Tensor:
    """Rows (N, F) of length 1: how long a gradient is says how sure D is, and not of what."""
    return nn.functional.normalize(x.flatten(1))


def _trained(probe: nn.Module, x: Tensor, y: Tensor, targets: Tensor, labels: Tensor, steps: int, seed: int) -> float:
    optimizer = torch.optim.Adam(probe.parameters(), lr=LR)
    rows = batches(len(x), BATCH, torch.Generator().manual_seed(seed))
    for _ in range(steps):
        chosen = next(rows)
        optimizer.zero_grad()
        nn.functional.cross_entropy(probe(x[chosen]), y[chosen]).backward()
        optimizer.step()
    with torch.inference_mode():
        return float((probe(targets).argmax(1) == labels).float().mean())


def majority(labels: Tensor) -> float:
    """What is right when the most frequent class is always said."""
    return float(labels.bincount().max() / len(labels))
