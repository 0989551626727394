"""Labels from what crosses: a linear probe and one with a hidden layer, of which the better counts."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from raygan.privacy.decoder import batches
from raygan.privacy.sight import Images, Sight, seen

HIDDEN, BATCH, LR, PASSES = 128, 64, 2e-3, 3
"""Units of the hidden layer; rows of a step; Adam's rate; batches in which each known image is seen."""


def label_accuracy(
    sight: Sight,
    known: Images,
    targets: Images,
    batch_size: int,
    num_classes: int,
    steps: int,
    seed: int,
    observed: Tensor | None = None,
) -> float:
    """Share of a client's labels that a probe tells from what crosses.

    Args:
        known: images with labels that the attacker has, and passes through the same blocks.
        targets: the client's.
        batch_size: of the client.
        steps: of Adam, for each probe.
        observed: (N, ...), what crossed of the targets, where the attacker's blocks are not the client's; None: they are.
    """
    crossing = seen(sight, targets, batch_size) if observed is None else observed
    told = labels_told(sight, known, crossing, batch_size, num_classes, steps, seed)
    return max(float((labels == targets.labels).float().mean()) for labels in told)


def labels_told(
    sight: Sight, known: Images, observed: Tensor, batch_size: int, num_classes: int, steps: int, seed: int
) -> list[Tensor]:
    """(N,) labels that each probe, linear and with a hidden layer, tells from what crossed (N, ...); as above."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        x, y = _shuffled(sight, known, batch_size, seed)
        mean, spread = x.mean(0), x.std(0) + 1e-6
        x, of_targets = (x - mean) / spread, (_unit(observed) - mean) / spread
        size = x.shape[1]
        linear = nn.Linear(size, num_classes)
        hidden = nn.Sequential(nn.Linear(size, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, num_classes))
        return [_trained(probe, x, y, of_targets, steps, seed) for probe in (linear, hidden)]


def grouped_accuracy(crossing: Tensor, labels: Tensor, num_classes: int, seed: int) -> tuple[float, float]:
    """What an attacker without networks comes to: it groups what crossed (N, ...) into as many as there are classes, by
    k-means on rows of length 1.

    Returns:
        The share of the labels (N,) that groups are right about when each is given the class that suits best, one class a
        group; and the same of labels that were shuffled.
    """
    from sklearn.cluster import KMeans  # slow to import

    grouping = KMeans(num_classes, n_init=4, random_state=seed % 2**32).fit_predict(_unit(crossing).numpy())
    groups = torch.from_numpy(grouping).long()
    mixed = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]
    return _best_match(groups, labels, num_classes), _best_match(groups, mixed, num_classes)


def _best_match(groups: Tensor, labels: Tensor, num_classes: int) -> float:
    counts = torch.zeros(num_classes, num_classes)
    counts.index_put_((groups, labels), torch.ones(len(labels)), accumulate=True)
    rows, columns = linear_sum_assignment(counts.numpy(), maximize=True)
    return float(counts[rows, columns].sum() / len(labels))


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


def _trained(probe: nn.Module, x: Tensor, y: Tensor, targets: Tensor, steps: int, seed: int) -> Tensor:
    optimizer = torch.optim.Adam(probe.parameters(), lr=LR)
    rows = batches(len(x), BATCH, torch.Generator().manual_seed(seed))
    for _ in range(steps):
        chosen = next(rows)
        optimizer.zero_grad()
        nn.functional.cross_entropy(probe(x[chosen]), y[chosen]).backward()
        optimizer.step()
    with torch.inference_mode():
        told: Tensor = probe(targets).argmax(1)
    return told


def majority(labels: Tensor) -> float:
    """What is right when the most frequent class is always said."""
    return float(labels.bincount().max() / len(labels))
