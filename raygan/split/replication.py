"""What makes several bodies one: who runs a stage, whose BatchNorm sees whom, and what the weights learn from.

Replica r serves its own workers. Each stage of a pass all replicas run together, or none: one that has no rows in it
runs over an empty batch, so that it comes to every exchange of the others. At the end of a backward pass the gradients
of all are added up, so that each makes the same update: weights are equal bit for bit, and are never sent.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from raygan.names import Shape
from raygan.parties.peers import Peers
from raygan.wire.records import Assignment


def anywhere(here: Sequence[int], peers: Peers | None) -> list[bool]:
    """Of each merged batch, whether any replica has something there.

    Args:
        here: what this one has: rows, or gradients.
        peers: None: there are no others.
    """
    if peers is None:
        return [bool(count) for count in here]
    total: Tensor = peers.gather(torch.tensor(here, dtype=torch.float64)).sum(0)
    return [bool(count) for count in total.tolist()]


def sum_gradients(parameters: Iterable[nn.Parameter], peers: Peers) -> None:
    """Each gradient becomes the sum over all replicas, which have gradients for the same parameters."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not gradients:
        return
    total = peers.total(torch.cat([gradient.flatten() for gradient in gradients]))
    parts = total.split([gradient.numel() for gradient in gradients])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))


def all_features(
    features: Mapping[int, np.ndarray], num_clients: int, shape: Shape, peers: Peers
) -> dict[int, np.ndarray]:
    """Client -> its anchor feature, of all replicas' clients.

    Args:
        features: of this one's, of that shape, float32.
        num_clients: that there ever were in the whole federation, numbered from 0.
    """
    table = torch.zeros(num_clients, 1 + math.prod(shape))
    for client, feature in features.items():
        table[client, 0] = 1
        table[client, 1:] = torch.from_numpy(feature.ravel())
    found = peers.total(table.flatten()).view_as(table).numpy()  # each row is one replica's: the others add 0
    return {client: row[1:].reshape(shape) for client, row in enumerate(found) if row[0]}


def differing(arrays: Iterable[np.ndarray], peers: Peers) -> list[int]:
    """Replicas whose arrays are not those of the first, bit for bit."""
    mark = 0
    for array in arrays:
        mark = zlib.crc32(array.tobytes(), mark)
    marks = peers.gather(torch.tensor([mark], dtype=torch.float64)).flatten().tolist()
    return [replica for replica, found in enumerate(marks) if found != marks[0]]


def merged_assignments(assignments: Sequence[Assignment]) -> Assignment:
    """That of the first replica, or of the section that has one, with what each has to tell."""
    first = next((one for one in assignments if one.cluster), assignments[0])
    return replace(first, faults=tuple(fault for one in assignments for fault in one.faults))
