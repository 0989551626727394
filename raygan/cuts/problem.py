"""A planning problem as the solvers see it: classes of interchangeable clients, and tables in seconds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from raygan.cuts.cost import Device, NetworkCost, Server
from raygan.cuts.cut import NETWORKS, Anchor, Cut, Cuts, allowed_pairs, anchor_pair, valid_cuts
from raygan.cuts.latency import (
    REPEATS,
    Floats,
    Ints,
    Pass,
    backward_pass,
    forward_pass,
    pass_seconds,
)
from raygan.errors import CutError

PHASES = tuple(f"{network}_{direction}" for network in NETWORKS for direction in ("forward", "backward"))
"""The phases of an iteration: generator_forward, generator_backward, discriminator_forward, ..."""


@dataclass(frozen=True)
class Problem:
    """Two networks, C classes of interchangeable clients, K clients. Built by `problem()`.

    An assignment of cuts to clients is `choice` [K, 2]: indices into `cuts` of the generator and the
    discriminator. Counted, it is a pair of arrays [C, n_G] and [C, n_D].
    """

    costs: tuple[NetworkCost, NetworkCost]
    server: Server
    cuts: tuple[tuple[Cut, ...], tuple[Cut, ...]]
    """Valid cuts of each network, ascending."""
    clients: tuple[Device, ...]
    """[K]."""
    classes: tuple[Device, ...]
    """[C]: one device of each class."""
    class_of: Ints
    """[K]: class of each client."""
    sizes: Ints
    """[C]: clients of each class."""
    allowed: npt.NDArray[np.bool_]
    """[C, n_G, n_D]: pairs of cuts that a class may use."""
    passes: tuple[tuple[Pass, Pass], tuple[Pass, Pass]]
    """(forward, backward) of each network."""

    def network_seconds(self, network: int, counts: Floats) -> Floats:
        """[P]: seconds of one forward and one backward pass of a network, for counts [P, C, n]."""
        forward, backward = self.passes[network]
        return pass_seconds(forward, counts) + pass_seconds(backward, counts)

    def latency_seconds(self, generator: Floats, discriminator: Floats) -> Floats:
        """[P]: seconds of an iteration, for counts [P, C, n_G] and [P, C, n_D]."""
        pair = (self.network_seconds(0, generator), self.network_seconds(1, discriminator))
        return REPEATS[0] * pair[0] + REPEATS[1] * pair[1]

    def count(self, choice: npt.NDArray[np.integer]) -> tuple[Ints, Ints]:
        """Counts [C, n_G] and [C, n_D] of an assignment [K, 2]."""
        pair = []
        for network, cuts in enumerate(self.cuts):
            cells = self.class_of * len(cuts) + choice[:, network]
            flat = np.bincount(cells, minlength=len(self.classes) * len(cuts))
            pair.append(flat.reshape(len(self.classes), len(cuts)))
        return pair[0], pair[1]

    def parts(self, choice: npt.NDArray[np.integer]) -> dict[str, float]:
        """Seconds of each phase of an iteration (all its passes), by name, for an assignment [K, 2]."""
        seconds = [
            REPEATS[network] * float(pass_seconds(one, counts[None].astype(float))[0])
            for network, counts in enumerate(self.count(choice))
            for one in self.passes[network]
        ]
        return dict(zip(PHASES, seconds, strict=True))

    def latency(self, choice: npt.NDArray[np.integer]) -> float:
        """Seconds of an iteration, for an assignment [K, 2]."""
        return sum(self.parts(choice).values())

    def client_cuts(self, choice: npt.NDArray[np.integer]) -> tuple[Cuts, ...]:
        """The cuts of each client, for an assignment [K, 2]."""
        generator, discriminator = self.cuts
        return tuple((generator[g], discriminator[d]) for g, d in choice)

    def choice_of(self, cuts: Sequence[Cuts]) -> Ints:
        """The assignment [K, 2] of given cuts.

        Raises:
            CutError: wrong number of clients, or a cut that is not valid or not allowed for its client.
        """
        if len(cuts) != len(self.clients):
            found = f"{len(cuts)} entries for {len(self.clients)} clients"
            raise CutError("cuts", found, "give one pair a client")
        return np.array([self._index(client, pair) for client, pair in enumerate(cuts)], dtype=np.int64)

    def _index(self, client: int, pair: Cuts) -> tuple[int, int]:
        device = self.clients[client]
        for network, cut in zip(NETWORKS, pair, strict=True):
            known = self.cuts[NETWORKS.index(network)]
            if tuple(cut) not in known:
                remedy = f"give one of {', '.join(map(str, known))}"
                where = f"{network} cut of device {device.name!r}"
                raise CutError(where, f"{tuple(cut)} is not valid", remedy)
        generator, discriminator = (
            known.index((int(cut[0]), int(cut[1]))) for known, cut in zip(self.cuts, pair, strict=True)
        )
        if not self.allowed[self.class_of[client], generator, discriminator]:
            found = f"{pair} breaks its memory limit or its local_blocks or server_blocks"
            raise CutError(f"cuts of device {device.name!r}", found, "give a smaller cut, or lift the limit")
        return generator, discriminator


def problem(
    generator: NetworkCost,
    discriminator: NetworkCost,
    devices: Sequence[Device],
    server: Server,
    anchor: Anchor = 2,
) -> Problem:
    """Group the clients into classes of equal devices, and tabulate every time that the model needs.

    Raises:
        CutError: no devices, an anchor that is not a middle block, a device that no valid cut fits, or times
            that overflow.
    """
    if not devices:
        raise CutError("devices", "empty", "give one device a client")
    costs = (generator, discriminator)
    anchors = anchor_pair(anchor)
    cuts = (valid_cuts(generator.num_blocks, anchors[0]), valid_cuts(discriminator.num_blocks, anchors[1]))
    classes, class_of = _group(devices)
    with np.errstate(over="ignore"):  # `_check_finite` says it better
        built = _tabulate(costs, cuts, devices, classes, class_of, server)
        _check_finite(built)
    return built


def _tabulate(
    costs: tuple[NetworkCost, NetworkCost],
    cuts: tuple[tuple[Cut, ...], tuple[Cut, ...]],
    devices: Sequence[Device],
    classes: list[Device],
    class_of: Ints,
    server: Server,
) -> Problem:
    return Problem(
        costs=costs,
        server=server,
        cuts=cuts,
        clients=tuple(devices),
        classes=tuple(classes),
        class_of=class_of,
        sizes=np.bincount(class_of).astype(np.int64),
        allowed=np.array([allowed_pairs(device, costs, cuts) for device in classes]),
        passes=(
            _passes(costs[0], cuts[0], classes, server),
            _passes(costs[1], cuts[1], classes, server),
        ),
    )


def _group(devices: Sequence[Device]) -> tuple[list[Device], Ints]:
    """One device of each class, and the class of each client; names do not matter, numbers and limits do."""
    known: dict[tuple[object, ...], int] = {}
    classes: list[Device] = []
    class_of = np.zeros(len(devices), dtype=np.int64)
    for client, device in enumerate(devices):
        key = (
            device.flops_per_s,
            device.bytes_per_s,
            device.memory_bytes,
            device.local_blocks,
            device.server_blocks,
        )
        if key not in known:
            known[key] = len(classes)
            classes.append(device)
        class_of[client] = known[key]
    return classes, class_of


def _passes(
    cost: NetworkCost, cuts: tuple[Cut, ...], classes: list[Device], server: Server
) -> tuple[Pass, Pass]:
    return forward_pass(cost, cuts, classes, server), backward_pass(cost, cuts, classes, server)


def _check_finite(built: Problem) -> None:
    """Refuse numbers that are fine one by one but overflow together."""
    total = sum(
        float(table.sum())
        for pair in built.passes
        for one in pair
        for table in (one.ready_s, one.finish_s, one.block_s * len(built.clients))
    )
    if not np.isfinite(total):
        raise CutError("devices", "the predicted times overflow", "check flops_per_s and bytes_per_s")


class Deadline:
    """A point in time that a solver must not pass."""

    def __init__(self, limit_s: float) -> None:
        self._end_s = time.monotonic() + limit_s

    @property
    def left_s(self) -> float:
        """Seconds until then, at least 0."""
        return max(0.0, self._end_s - time.monotonic())
